#include "proxy/net/tls_context.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <array>

#include "proxy/net/tls_engine.h"

namespace pillion::net {
namespace {

constexpr char kDefaultCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr char kSuites13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr char kDefaultCurves[] = "X25519:P-256";
constexpr int kSecurityLevel = 2;  // 112 bits: RSA 2048 and more, no SHA-1 signatures
constexpr long kSessionSeconds = 3600;
constexpr size_t kTickets = 1;      // per handshake; our own pools keep one session per peer
constexpr size_t kChainMax = 10;    // certificates of ours
constexpr size_t kTrustMax = 1000;  // roots in one bundle

std::unexpected<std::string> wrong(std::string text) {
  ERR_clear_error();
  return std::unexpected(std::move(text));
}

// === certificates ===

struct Identity {
  X509Ptr leaf;
  PkeyPtr key;
  STACK_OF(X509) * chain = nullptr;
  Identity() = default;
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  ~Identity() { sk_X509_pop_free(chain, X509_free); }
};

std::vector<X509Ptr> read_certificates(std::string_view pem, size_t max) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<X509Ptr> out;
  while (out.size() < max) {
    X509Ptr next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;  // the end, or a block that is none: too few come out of it
    out.push_back(std::move(next));
  }
  ERR_clear_error();
  return out;
}

size_t blocks_of(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  size_t n = 0;
  for (size_t at = 0; (at = pem.find(kBegin, at)) != std::string_view::npos; at += kBegin.size()) ++n;
  return n;
}

std::expected<void, std::string> use_identity(SSL_CTX* ctx, const TlsMaterial& material, const std::string& field) {
  Identity identity;
  std::vector<X509Ptr> certificates = read_certificates(material.cert_chain, kChainMax);
  if (certificates.empty()) return wrong(field + ": there is no certificate in the chain");
  if (certificates.size() != blocks_of(material.cert_chain)) {
    return wrong(field + ": a certificate of the chain cannot be read, or there are too many");
  }
  identity.leaf = std::move(certificates[0]);
  identity.chain = sk_X509_new_null();
  for (size_t i = 1; i < certificates.size(); ++i) sk_X509_push(identity.chain, certificates[i].release());
  const BioPtr bio(BIO_new_mem_buf(material.private_key.data(), static_cast<int>(material.private_key.size())));
  // Without a callback that gives an empty password, OpenSSL would ask the terminal for one.
  identity.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  if (identity.key == nullptr) return wrong(field + ": the private key cannot be read");
  if (X509_check_private_key(identity.leaf.get(), identity.key.get()) != 1) {
    return wrong(field + ": the key does not belong to the certificate");
  }
  if (SSL_CTX_use_cert_and_key(ctx, identity.leaf.get(), identity.key.get(), identity.chain, 0) != 1) {
    const bool second = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NOT_REPLACING_CERTIFICATE;
    return wrong(field +
                 (second ? ": there is a certificate with a key of this kind already" : ": " + take_openssl_error()));
  }
  return {};
}

std::expected<void, std::string> use_trust(SSL_CTX* ctx, const TlsMaterial& material, bool is_server) {
  const std::vector<X509Ptr> roots = read_certificates(material.trust_bundle, kTrustMax);
  if (roots.empty()) return wrong("validation_context.trusted_ca: there is no certificate in it");
  if (roots.size() != blocks_of(material.trust_bundle)) {
    return wrong("validation_context.trusted_ca: a certificate cannot be read, or there are too many");
  }
  X509_STORE* store = SSL_CTX_get_cert_store(ctx);
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);  // an intermediate may be what is trusted
  for (const X509Ptr& root : roots) {
    if (X509_STORE_add_cert(store, root.get()) != 1)
      return wrong("validation_context.trusted_ca: " + take_openssl_error());
    if (is_server) SSL_CTX_add_client_CA(ctx, root.get());
  }
  return {};
}

// === what both sides set ===

int on_verify(X509_STORE_CTX* store, void*) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  return engine_of(ssl)->judge_peer(store);
}

std::expected<void, std::string> set_protocol(SSL_CTX* ctx, const config::TlsContext& config) {
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_security_level(ctx, kSecurityLevel);
  if (SSL_CTX_set_min_proto_version(ctx, config.version_min) != 1 ||
      SSL_CTX_set_max_proto_version(ctx, config.version_max) != 1 || config.version_min < TLS1_2_VERSION) {
    return wrong("tls_params: the versions are not TLS 1.2 or TLS 1.3");
  }
  if (SSL_CTX_set_ciphersuites(ctx, kSuites13) != 1) return wrong("tls_params: " + take_openssl_error());
  const char* ciphers = config.ciphers.empty() ? kDefaultCiphers : config.ciphers.c_str();
  if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
    return wrong(fmt::format("tls_params.cipher_suites: no cipher of \"{}\" is known", config.ciphers));
  }
  std::string curves;
  for (const std::string& curve : config.curves) curves += (curves.empty() ? "" : ":") + curve;
  if (SSL_CTX_set1_groups_list(ctx, curves.empty() ? kDefaultCurves : curves.c_str()) != 1) {
    return wrong(fmt::format("tls_params.ecdh_curves: \"{}\" has a curve that is not known", curves));
  }
  return {};
}

std::expected<std::string, std::string> alpn_wire(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) return wrong("alpn_protocols: a name must have 1 to 255 octets");
    out += static_cast<char>(name.size());
    out += name;
  }
  return out;
}

std::expected<SslCtxPtr, std::string> make_ctx(const config::TlsContext& config, const TlsSecrets& secrets,
                                               bool is_server) {
  clear_old_errors();
  SslCtxPtr ctx(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
  if (ctx == nullptr) return wrong("TLS: " + take_openssl_error());
  if (auto set = set_protocol(ctx.get(), config); !set) return std::unexpected(std::move(set.error()));
  for (size_t i = 0; i < secrets.certificates.size(); ++i) {
    const std::string field = fmt::format("tls_certificates[{}]", i);
    if (secrets.certificates[i] == nullptr) return wrong(field + ": the secret is not there");
    if (auto used = use_identity(ctx.get(), *secrets.certificates[i], field); !used) {
      return std::unexpected(std::move(used.error()));
    }
  }
  const config::ValidationContext& validation = config.validation;
  if (config.has_validation && validation.trust.is_set() && secrets.trust == nullptr) {
    return wrong("validation_context.trusted_ca: the secret is not there");
  }
  if (config.has_validation && secrets.trust != nullptr) {
    if (auto used = use_trust(ctx.get(), *secrets.trust, is_server); !used) {
      return std::unexpected(std::move(used.error()));
    }
  } else if (config.has_validation && !validation.sans.empty()) {
    return wrong("validation_context: SANs are matched, but nothing is trusted: trusted_ca is missing");
  }
  SSL_CTX_set_cert_verify_callback(ctx.get(), on_verify, nullptr);
  SSL_CTX_set_timeout(ctx.get(), kSessionSeconds);
  return ctx;
}

PeerJudge judge_for(const config::TlsContext& config, const TlsSecrets& secrets) {
  return {config.has_validation ? config.validation : config::ValidationContext(),
          config.has_validation && secrets.trust != nullptr};
}

constexpr std::string_view kAlpnHttp11 = "\x08http/1.1";
constexpr std::string_view kAlpnHttp2 = "\x02h2";

// === server callbacks ===

int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
            unsigned offered_size, void*) {
  const std::string& ours = engine_of(ssl)->server()->alpn();
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                                          static_cast<unsigned>(ours.size()), offered, offered_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// A ticket stands for the certificate that was judged when it was made; it ends with that at the latest.
SSL_TICKET_RETURN on_ticket(SSL*, SSL_SESSION* session, const unsigned char*, size_t, SSL_TICKET_STATUS status, void*) {
  switch (status) {
    case SSL_TICKET_EMPTY:
    case SSL_TICKET_NO_DECRYPT: return SSL_TICKET_RETURN_IGNORE_RENEW;
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW: break;
    default: return SSL_TICKET_RETURN_ABORT;
  }
  X509* peer = SSL_SESSION_get0_peer(session);
  if (peer != nullptr && has_expired(peer)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

// Sessions are bound to how the peer was judged, and to what was agreed on.
std::array<unsigned char, 32> session_context(const config::TlsContext& config, const TlsSecrets& secrets) {
  std::string text;
  const auto add = [&text](std::string_view part) { text += fmt::format("{}:{};", part.size(), part); };
  add(secrets.trust == nullptr ? "" : secrets.trust->trust_bundle);
  for (const auto& certificate : secrets.certificates) add(certificate->cert_chain);
  for (const config::SanMatcher& san : config.validation.sans) {
    add(fmt::format("{} {} {}", static_cast<int>(san.type), static_cast<int>(san.value.kind), san.value.ignore_case));
    add(san.value.regex != nullptr ? san.value.regex->pattern() : san.value.text);
  }
  for (const std::string& hash : config.validation.certificate_hashes) add(hash);
  for (const std::string& alpn : config.alpn) add(alpn);
  add(fmt::format("{} {} {}", config.has_validation, config.validation.trust_chain_verification,
                  config.require_client_certificate));
  std::array<unsigned char, 32> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return digest;
}

int on_new_session(SSL* ssl, SSL_SESSION* session) {
  engine_of(ssl)->keep_session(SslSessionPtr(session));
  return 1;  // the reference is ours now
}

int engine_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

TlsEngine* engine_of(const SSL* ssl) {
  return static_cast<TlsEngine*>(SSL_get_ex_data(ssl, engine_index()));
}

void set_engine(SSL* ssl, TlsEngine* engine) {
  SSL_set_ex_data(ssl, engine_index(), engine);
}

std::expected<std::shared_ptr<const ServerTlsContext>, std::string> make_server_context(
    const config::TlsContext& config, const TlsSecrets& secrets) {
  if (secrets.certificates.empty()) return wrong("tls_certificates: a server needs one");
  auto alpn = alpn_wire(config.alpn);
  if (!alpn) return std::unexpected(std::move(alpn.error()));
  auto made = make_ctx(config, secrets, true);
  if (!made) return std::unexpected(std::move(made.error()));
  SSL_CTX* ctx = made->get();
  PeerJudge judge = judge_for(config, secrets);
  if (config.require_client_certificate) {
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  } else if (judge.can_verify()) {
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  }
  const std::array<unsigned char, 32> id = session_context(config, secrets);
  SSL_CTX_set_session_id_context(ctx, id.data(), id.size());
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);  // tickets only: a cache would be a lock between workers
  SSL_CTX_set_num_tickets(ctx, kTickets);
  SSL_CTX_set_session_ticket_cb(ctx, nullptr, on_ticket, nullptr);
  if (!alpn->empty()) SSL_CTX_set_alpn_select_cb(ctx, on_alpn, nullptr);
  return std::make_shared<const ServerTlsContext>(std::move(*made), std::move(judge), std::move(*alpn));
}

std::expected<std::shared_ptr<const ClientTlsContext>, std::string> make_client_context(
    const config::TlsContext& config, const TlsSecrets& secrets) {
  auto alpn = alpn_wire(config.alpn);
  if (!alpn) return std::unexpected(std::move(alpn.error()));
  auto made = make_ctx(config, secrets, false);
  if (!made) return std::unexpected(std::move(made.error()));
  SSL_CTX* ctx = made->get();
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);  // the judge lets everybody pass where nothing is to be verified
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, on_new_session);
  return std::make_shared<const ClientTlsContext>(std::move(*made), judge_for(config, secrets), config.sni,
                                                  std::move(*alpn), !secrets.certificates.empty());
}

std::string ClientTlsContext::alpn_for(const ClientHandshakeOptions& options) const {
  std::string out = alpn_;  // each name after its length
  if (out.empty()) {
    switch (options.alpn_default) {
      case AlpnOffer::none: break;
      case AlpnOffer::http11: out = kAlpnHttp11; break;
      case AlpnOffer::http2: out = kAlpnHttp2; break;
      case AlpnOffer::http2_or_http11: out.append(kAlpnHttp2).append(kAlpnHttp11); break;
    }
  }
  const bool is_http = out.find(kAlpnHttp2) != std::string::npos || out.find(kAlpnHttp11) != std::string::npos;
  if (!options.carries_http1 || !has_certificate_ || !is_http) return out;
  return static_cast<char>(config::kCarryAlpn.size()) + std::string(config::kCarryAlpn) + out;
}

// === sessions ===

void SessionCache::put(const std::string& peer, SslSessionPtr session) {
  const std::lock_guard lock(mutex_);
  if (sessions_.size() >= kSessionsMax && !sessions_.contains(peer)) sessions_.erase(sessions_.begin());
  sessions_[peer] = std::move(session);
}

SslSessionPtr SessionCache::take(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) return nullptr;
  SslSessionPtr session;
  if (SSL_SESSION_get_protocol_version(found->second.get()) >= TLS1_3_VERSION) {
    session = std::move(found->second);
    sessions_.erase(found);
  } else {
    SSL_SESSION_up_ref(found->second.get());
    session.reset(found->second.get());
  }
  X509* certificate = SSL_SESSION_get0_peer(session.get());
  const bool is_good =
      SSL_SESSION_is_resumable(session.get()) == 1 && certificate != nullptr && !has_expired(certificate);
  return is_good ? std::move(session) : nullptr;
}

}  // namespace pillion::net
