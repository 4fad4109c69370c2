#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "common/identity/identity.h"
#include "common/identity/node_identity.h"
#include "common/identity/openssl.h"
#include "common/status.h"

namespace bramble {

using TlsContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using TlsSessionPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;

// TLS 1.2 or newer for a listener that is not gRPC's. It shows the node's certificate and asks for
// one of the same cluster: a foreign certificate ends the handshake, none does not (TlsPeer tells).
// `identity` must have passed MakeNodeIdentity.
Result<TlsContextPtr> MakeTlsServerContext(const NodeIdentity& identity);

// Who is at the other end after the handshake. Unauthenticated: it showed no certificate.
Result<PeerIdentity> TlsPeer(const SSL* session);

}  // namespace bramble
