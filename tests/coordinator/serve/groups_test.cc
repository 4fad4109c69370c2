#include "coordinator/serve/groups.h"

#include <gtest/gtest.h>

#include <functional>

namespace bramble::coordinator {
namespace {

// Draws `rounds` ids of each sequence, in groups as large as they are told, at the given ids a
// second.
class Cluster {
 public:
  explicit Cluster(std::uint32_t stages) : groups(stages) {}

  void Draw(std::uint32_t sequences, std::uint32_t rounds,
            const std::function<double(std::uint32_t groups)>& ids_per_second) {
    for (std::uint32_t i = 0; i < rounds * sequences; ++i) {
      now_ += std::chrono::duration_cast<Clock::TimePoint::duration>(
          std::chrono::duration<double>(1 / ids_per_second(groups.count())));
      groups.Drew(sequences, 1, now_);
      time_with[groups.count()] += 1;
    }
  }

  Groups groups;
  std::map<std::uint32_t, std::uint32_t> time_with;

 private:
  Clock::TimePoint now_{std::chrono::seconds(1)};
};

double OwnMachines(std::uint32_t groups) { return 100.0 * groups; }
double SharedCores(std::uint32_t groups) { return 300.0 / groups; }

TEST(Groups, AreAsManyAsStagesThatHaveMachinesOfTheirOwn) {
  Cluster cluster(3);
  EXPECT_EQ(cluster.groups.count(), 3U);
  cluster.Draw(6, 2000, OwnMachines);
  EXPECT_GT(cluster.time_with[3], 6U * 2000 * 9 / 10) << "trying others costs little";
}

TEST(Groups, BecomeFewerWhereStagesShareCores) {
  Cluster cluster(3);
  cluster.Draw(6, 2000, SharedCores);
  EXPECT_GT(cluster.time_with[1], 6U * 2000 * 9 / 10);
}

TEST(Groups, AreFoundAnewWhenTheClusterHasChanged) {
  Cluster cluster(4);
  cluster.Draw(8, 1000, SharedCores);
  EXPECT_EQ(cluster.groups.count(), 1U);
  cluster.time_with.clear();
  cluster.Draw(8, 8000, OwnMachines);
  EXPECT_GT(cluster.time_with[4], 8U * 8000 / 2);
}

TEST(Groups, StayAsManyAsStagesWhereTheDifferenceIsNoise) {
  Cluster cluster(2);
  cluster.Draw(4, 500, [](std::uint32_t groups) { return groups == 1 ? 105.0 : 100.0; });
  EXPECT_GT(cluster.time_with[2], 4U * 500 * 9 / 10);
}

TEST(Groups, AreRememberedForEachNumberOfSequences) {
  Cluster cluster(3);
  cluster.Draw(6, 200, SharedCores);
  cluster.Draw(3, 200, OwnMachines);
  EXPECT_EQ(cluster.groups.count(), 3U);
  cluster.Draw(6, 1, SharedCores);
  EXPECT_EQ(cluster.groups.count(), 1U);
}

TEST(Groups, LearnNothingFromWhatIsDisturbed) {
  Cluster cluster(2);
  Clock::TimePoint now{std::chrono::seconds(1)};
  for (int i = 0; i < 1000; ++i) {
    now += std::chrono::milliseconds(1);
    cluster.groups.Drew(4, 1, now);
    cluster.groups.Disturb();
    EXPECT_EQ(cluster.groups.count(), 2U);
  }
}

}  // namespace
}  // namespace bramble::coordinator
