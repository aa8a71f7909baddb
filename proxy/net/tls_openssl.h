// Owners of what OpenSSL counts, and its error queue in words. Only for the files tls*.cc of this folder.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace pillion::net {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using SslCtxPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, Freer<SSL_SESSION_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;

// What the library says about a call belongs to the error queue of the thread: entries of somebody else would be taken
// for ours. Looking is much cheaper than clearing.
inline void clear_old_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

// The newest entry of the queue as text; the queue is empty afterwards.
std::string take_openssl_error();

}  // namespace pillion::net
