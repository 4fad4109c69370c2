#include "common/retire.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <utility>

namespace bramble {
namespace {

struct Witness {
  explicit Witness(std::promise<std::thread::id>* destroyed) : destroyed_(destroyed) {}
  ~Witness() { destroyed_->set_value(std::this_thread::get_id()); }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  std::promise<std::thread::id>* const destroyed_;
};

TEST(Retire, LetsGoOnAnotherThread) {
  for (int i = 0; i < 100; ++i) {
    std::promise<std::thread::id> destroyed;
    auto object = std::make_shared<Witness>(&destroyed);
    Retire(std::move(object));
    EXPECT_NE(destroyed.get_future().get(), std::this_thread::get_id());
  }
}

TEST(Retire, DestroysNothingThatSomebodyHolds) {
  std::promise<std::thread::id> destroyed;
  auto held = std::make_shared<Witness>(&destroyed);
  std::promise<std::thread::id> later;
  Retire(held);
  Retire(std::make_shared<Witness>(&later));
  later.get_future().wait();  // the first one has been let go of by now
  EXPECT_EQ(held.use_count(), 1);
  held.reset();
  EXPECT_EQ(destroyed.get_future().get(), std::this_thread::get_id());
}

}  // namespace
}  // namespace bramble
