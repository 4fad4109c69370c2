#pragma once

#include "coordinator/api/endpoints.h"

namespace bramble::coordinator {

// The page at /: a picture of the cluster and a chat, in three files that are part of this program.
// They ask for nothing from elsewhere and hold nothing secret, so they need no key; what they show
// comes through the API, with the key that its reader has typed.
void ServePage(const Call& call);    // GET /          index.html
void ServeStyle(const Call& call);   // GET /page.css
void ServeScript(const Call& call);  // GET /page.js

}  // namespace bramble::coordinator
