#include "coordinator/api/exchange.h"

#include <exception>
#include <utility>

#include "common/log.h"

namespace bramble::coordinator {

void Strand::Post(std::function<void()> work) {
  {
    const MutexLock lock(mu_);
    work_.push_back(std::move(work));
    if (scheduled_) return;
    scheduled_ = true;
  }
  if (const auto threads = threads_.lock()) {
    threads->PostHandler([self = shared_from_this()] { self->Run(); });
  }
}

void Strand::Run() {
  for (;;) {
    std::function<void()> work;
    {
      const MutexLock lock(mu_);
      if (work_.empty()) {
        scheduled_ = false;
        return;
      }
      work = std::move(work_.front());
      work_.pop_front();
    }
    // The edge for what libraries throw. The exchange is dropped with the work, so its client gets
    // a 500.
    try {
      work();
    } catch (const std::exception& error) {
      LogError("a request's work failed", {{"error", error.what()}});
    }
  }
}

void SayGoodbye(const std::shared_ptr<ExchangeGoodbye>& goodbye) {
  goodbye->strand->Post([goodbye] {
    goodbye->is_gone = true;
    if (const auto gone = std::exchange(goodbye->gone, nullptr)) gone();
  });
}

ServerExchange::ServerExchange(std::weak_ptr<ServerThreads> threads,
                               std::weak_ptr<ExchangePeer> peer,
                               std::shared_ptr<ExchangeGoodbye> goodbye, std::uint64_t number)
    : threads_(std::move(threads)),
      peer_(std::move(peer)),
      goodbye_(std::move(goodbye)),
      number_(number) {}

ServerExchange::~ServerExchange() {
  if (ended_) return;
  Tell([number = number_](ExchangePeer& peer) { peer.OnAbandoned(number); });
}

void ServerExchange::Tell(std::function<void(ExchangePeer&)> what) {
  const auto threads = threads_.lock();
  if (!threads) return;
  threads->PostIo([peer = peer_, what = std::move(what)] {
    if (const auto alive = peer.lock()) what(*alive);
  });
}

void ServerExchange::Finished() {
  ended_ = true;
  // The hook often holds what holds this exchange: let go of it.
  goodbye_->strand->Post([goodbye = goodbye_] { goodbye->gone = nullptr; });
}

void ServerExchange::Reply(HttpReply reply) {
  Tell([number = number_, reply = std::move(reply)](ExchangePeer& peer) mutable {
    peer.OnReply(number, std::move(reply));
  });
  Finished();
}

void ServerExchange::StartStream(HttpReply head, std::string idle_text) {
  Tell([number = number_, head = std::move(head), idle = std::move(idle_text)](
           ExchangePeer& peer) mutable { peer.OnStart(number, std::move(head), std::move(idle)); });
}

void ServerExchange::Write(std::string bytes) {
  Tell([number = number_, bytes = std::move(bytes)](ExchangePeer& peer) mutable {
    peer.OnWrite(number, std::move(bytes));
  });
}

void ServerExchange::End() {
  Tell([number = number_](ExchangePeer& peer) { peer.OnEnd(number); });
  Finished();
}

void ServerExchange::Post(std::function<void()> work) { goodbye_->strand->Post(std::move(work)); }

void ServerExchange::OnGone(std::function<void()> gone) {
  if (goodbye_->is_gone) {
    goodbye_->strand->Post(std::move(gone));
  } else {
    goodbye_->gone = std::move(gone);
  }
}

}  // namespace bramble::coordinator
