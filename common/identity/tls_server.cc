#include "common/identity/tls_server.h"

#include <string>
#include <vector>

#include "common/check.h"

namespace bramble {

Result<TlsContextPtr> MakeTlsServerContext(const NodeIdentity& identity) {
  ASSIGN_OR_RETURN(const KeyPtr key, KeyFromPem(identity.key_pem, "the key"));
  ASSIGN_OR_RETURN(const std::vector<CertificatePtr> chain,
                   CertificatesFromPem(identity.chain_pem, "the certificate chain"));
  ASSIGN_OR_RETURN(const std::vector<CertificatePtr> roots,
                   CertificatesFromPem(identity.root_pem, "the root"));
  TlsContextPtr context(SSL_CTX_new(TLS_server_method()));
  CHECK(context != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
  // A resumed session would skip the look at a certificate that may have expired since.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_use_certificate(context.get(), chain[0].get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return OpenSslFailure(Code::kInvalidArgument, "the identity is of no use for TLS");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  for (const CertificatePtr& root : roots) {
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root.get()) == 1);
    CHECK(SSL_CTX_add_client_CA(context.get(), root.get()) == 1);
  }
  return context;
}

Result<PeerIdentity> TlsPeer(const SSL* session) {
  const CertificatePtr certificate(SSL_get1_peer_certificate(session));
  if (certificate == nullptr) return Unauthenticated("the peer showed no certificate");
  const std::vector<std::string> uris = UriNames(certificate.get());
  if (uris.size() != 1) {
    return Unauthenticated("the peer's certificate has ", uris.size(),
                           " URI names where exactly one belongs");
  }
  return ParseSpiffeId(uris[0]);
}

}  // namespace bramble
