#include "proxy/net/tls_engine.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "proxy/base/check.h"

namespace pillion::net {
namespace {

// === the BIO: OpenSSL's view of the two chains ===

int bio_read(BIO* bio, char* out, int size) {
  auto* engine = static_cast<TlsEngine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const size_t n = engine->cipher_in.copy_out({out, static_cast<size_t>(size)});
  if (n == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  engine->cipher_in.drain(n);
  return static_cast<int>(n);
}

int bio_write(BIO* bio, const char* bytes, int size) {
  auto* engine = static_cast<TlsEngine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  engine->cipher_out.append(engine->pool(), {bytes, static_cast<size_t>(size)});
  return size;
}

long bio_ctrl(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pillion chains");
    PILLION_CHECK(made != nullptr);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_ctrl);
    return made;
  }();
  return method;
}

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return text;
}

}  // namespace

// === setting up ===

TlsEngine::TlsEngine(ChunkPool& pool, std::shared_ptr<const ServerTlsContext> context)
    : pool_(pool), server_(std::move(context)) {
  set_up(server_->ctx());
  SSL_set_accept_state(ssl_.get());
}

TlsEngine::TlsEngine(ChunkPool& pool, std::shared_ptr<const ClientTlsContext> context, std::string sni,
                     std::string verify_host, const std::string& peer_address)
    : pool_(pool), client_(std::move(context)), sni_(std::move(sni)), verify_host_(std::move(verify_host)) {
  set_up(client_->ctx());
  SSL_set_connect_state(ssl_.get());
  if (!sni_.empty()) SSL_set_tlsext_host_name(ssl_.get(), sni_.c_str());
  session_key_ = peer_address + '\n' + sni_ + '\n' + verify_host_;
  if (const SslSessionPtr session = client_->sessions().take(session_key_)) {
    SSL_set_session(ssl_.get(), session.get());
  }
}

void TlsEngine::offer_alpn(std::string_view wire) {
  if (wire.empty()) return;
  SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                      static_cast<unsigned>(wire.size()));
}

void TlsEngine::set_up(SSL_CTX* ctx) {
  clear_old_errors();
  ssl_.reset(SSL_new(ctx));
  BIO* bio = BIO_new(bio_method());
  PILLION_CHECK(ssl_ != nullptr && bio != nullptr);  // out of memory
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  set_engine(ssl_.get(), this);
}

TlsEngine::~TlsEngine() {
  // A connection that ends without a close_notify would take its session out of use, although nothing is wrong with it.
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

// === records ===

TlsEngine::Result TlsEngine::handshake() {
  clear_old_errors();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) return Result::ok;
  return fail(SSL_get_error(ssl_.get(), done), "handshake");
}

bool TlsEngine::has_pending() const {
  return SSL_pending(ssl_.get()) > 0;
}

TlsEngine::Result TlsEngine::decrypt(Chain& plain) {
  while (!cipher_in.empty() || has_pending()) {
    Chunk* chunk = pool_.read_chunk(kReadRoomMin);
    clear_old_errors();
    const int n =
        SSL_read(ssl_.get(), chunk->data() + chunk->filled, static_cast<int>(chunk->capacity - chunk->filled));
    if (n <= 0) {
      const Result why = fail(SSL_get_error(ssl_.get(), n), "reading");
      if (why == Result::want_read)
        continue;  // a part of a record, or one without content; the loop ends with the bytes
      return why;
    }
    const uint32_t begin = chunk->filled;
    chunk->filled += static_cast<uint32_t>(n);
    plain.append_slice(chunk, begin, chunk->filled);
  }
  return Result::ok;
}

TlsEngine::Result TlsEngine::encrypt(Chain& plain) {
  std::array<char, kRecordBytesMax> gathered;  // small slices share a record
  while (!plain.empty()) {
    std::string_view bytes = plain.front();
    const size_t wanted = std::min(plain.size(), kRecordBytesMax);
    if (bytes.size() < wanted && bytes.size() < kRecordBytesMax / 2) {
      bytes = {gathered.data(), plain.copy_out({gathered.data(), wanted})};
    }
    bytes = bytes.substr(0, kRecordBytesMax);
    clear_old_errors();
    const int n = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (n <= 0) return fail(SSL_get_error(ssl_.get(), n), "writing");
    plain.drain(static_cast<size_t>(n));
  }
  return Result::ok;
}

void TlsEngine::send_close_notify() {
  clear_old_errors();
  if (SSL_shutdown(ssl_.get()) < 0) ERR_clear_error();  // the connection has failed: nothing can be said any more
}

TlsEngine::Result TlsEngine::fail(int ssl_error, const char* doing) {
  switch (ssl_error) {
    case SSL_ERROR_WANT_READ: return Result::want_read;
    case SSL_ERROR_ZERO_RETURN: return Result::closed;
    default: break;
  }
  const unsigned long code = ERR_peek_last_error();
  const bool from_tls = ERR_GET_LIB(code) == ERR_LIB_SSL;
  const int reason = ERR_GET_REASON(code);
  std::string text = take_openssl_error();
  if (peer_refused_) return Result::failed;  // failure_ is the judge's sentence
  if (from_tls && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    failure_ = "the peer sent no certificate";
  } else if (from_tls && reason >= SSL_AD_REASON_OFFSET) {
    failure_ = "the peer refused with an alert: " + text;
  } else {
    failure_ = std::string("TLS ") + doing + " failed: " + text;
  }
  return Result::failed;
}

// === the peer ===

int TlsEngine::judge_peer(X509_STORE_CTX* store) {
  const PeerJudge& judge = context().judge();
  if (auto verdict = judge.judge(store, verify_host_); !verdict) {
    // The result is kept in the session too: a resumed connection is not more than the one that it continues.
    X509_STORE_CTX_set_error(store, X509_STORE_CTX_get_error(store) == X509_V_OK ? X509_V_ERR_APPLICATION_VERIFICATION
                                                                                 : X509_STORE_CTX_get_error(store));
    if (judge.accepts_untrusted()) return 1;
    failure_ = std::move(verdict.error());
    peer_refused_ = true;
    return 0;
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

void TlsEngine::keep_session(SslSessionPtr session) {
  if (client_ != nullptr) client_->sessions().put(session_key_, std::move(session));
}

const TlsContextBase& TlsEngine::context() const {
  return server_ != nullptr ? static_cast<const TlsContextBase&>(*server_) : *client_;
}

std::shared_ptr<const TlsInfo> TlsEngine::describe() const {
  return context().peers().share(make_info());
}

// A client's session may be offered to the peer again, by any worker: it stays whole.
void TlsEngine::free_memory() {
  SSL_free_buffers(ssl_.get());
  if (server_ != nullptr && above_peer_ == nullptr) above_peer_ = server_->peers().take_from(ssl_.get());
}

std::vector<std::string> TlsEngine::peer_chain() const {
  std::vector<std::string> out;
  const X509Ptr leaf(SSL_get1_peer_certificate(ssl_.get()));
  if (leaf == nullptr) return out;
  out.push_back(der_of(leaf.get()));
  if (above_peer_ != nullptr) {
    out.insert(out.end(), above_peer_->begin(), above_peer_->end());
    return out;
  }
  // A server's chain of the peer lacks the leaf in OpenSSL; a client's has it.
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl_.get());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* next = sk_X509_value(chain, i);
    if (i > 0 || X509_cmp(next, leaf.get()) != 0) out.push_back(der_of(next));
  }
  return out;
}

TlsInfo TlsEngine::make_info() const {
  TlsInfo info;
  info.version = SSL_get_version(ssl_.get());
  info.cipher = SSL_get_cipher_name(ssl_.get());
  const char* asked = server_ != nullptr ? SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name) : sni_.c_str();
  if (asked != nullptr) info.sni = lower_case(asked);
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &alpn, &alpn_size);
  info.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  if (X509* own = SSL_get_certificate(ssl_.get())) info.local_uri_san = first_uri_san(own);
  const X509Ptr peer(SSL_get1_peer_certificate(ssl_.get()));
  if (peer == nullptr) return info;
  info.peer_certificate_hash = sha256_hex(peer.get());
  // Names that nobody has verified are not told: somebody would believe them.
  const PeerJudge& judge = context().judge();
  if (!judge.can_verify() || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return info;
  info.peer_subject = subject_rfc2253(peer.get());
  for (SanName& name : san_names(peer.get())) {
    if (name.type == config::SanMatcher::Type::dns)
      info.peer_dns_sans.push_back(std::move(name.value));
    else if (name.type == config::SanMatcher::Type::uri && info.peer_uri_san.empty())
      info.peer_uri_san = name.value;
  }
  return info;
}

}  // namespace pillion::net
