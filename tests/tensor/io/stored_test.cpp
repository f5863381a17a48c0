// Views of stored elements: every way of cutting the stream into blocks gives what indexing gives, and every type
// comes back bit for bit.
#include "tensor/io/stored.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace echodiff {
namespace {

// The view's elements by indexing, in logical order.
std::vector<double> by_indexing(const StoredView& view, const std::vector<float>& stored) {
  std::vector<double> values;
  const int64_t count = view.shape.count();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = view.offset;
    for (int64_t d = view.shape.rank() - 1; d >= 0; --d) {
      at += rest % view.shape[d] * view.strides[size_t(d)];
      rest /= view.shape[d];
    }
    values.push_back(stored[size_t(at)]);
  }
  return values;
}

std::vector<float> counting(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(float(i) + 0.5F);
  return values;
}

TEST(Stored, NearestHalfRoundsTiesToEven) {
  const auto nearest = [](StoredType type, double value) { return nearest_stored(full({1}, value), type, "w").item(); };
  const double above_one = 1 + 0x1p-10;  // the half after 1
  EXPECT_EQ(nearest(StoredType::f16, 1 + 0x1p-12), 1);
  EXPECT_EQ(nearest(StoredType::f16, 1 + 0x1p-11), 1);  // a tie: 1 is even
  EXPECT_EQ(nearest(StoredType::f16, 1 + 0x1p-11 + 0x1p-20), above_one);
  EXPECT_EQ(nearest(StoredType::f16, above_one + 0x1p-11), 1 + 0x1p-9);
  EXPECT_EQ(nearest(StoredType::f16, 0.6 * 0x1p-24), 0x1p-24);  // subnormal
  EXPECT_EQ(nearest(StoredType::f16, -0.4 * 0x1p-24), 0);
  EXPECT_EQ(nearest(StoredType::f16, 65519), 65504);
  EXPECT_THROW(nearest(StoredType::f16, 65520), Error);
  EXPECT_EQ(nearest(StoredType::bf16, 1 + 0x1p-8), 1);
  EXPECT_EQ(nearest(StoredType::bf16, 1 + 0x1p-7 + 0x1p-8), 1 + 0x1p-6);
  EXPECT_EQ(nearest(StoredType::bf16, 65520), 65536);
  // What comes out can be stored, and rounds to itself.
  Tensor values = empty({1000});
  for (int64_t i = 0; i < 1000; ++i)
    values.mutable_data<float>()[i] = std::ldexp(float(i - 500) / 77, int(i % 40) - 30);
  for (const StoredType type : {StoredType::f16, StoredType::bf16}) {
    const Tensor rounded = nearest_stored(values, type, "w");
    std::string bytes;
    append_stored(rounded, type, &bytes);
    EXPECT_EQ(bytes.size(), 2000U);
    EXPECT_EQ(nearest_stored(rounded, type, "w").to_vector(), rounded.to_vector());
  }
}

TEST(Stored, ViewsWhateverTheBlocks) {
  struct Case {
    StoredView view;
    bool in_order;
  };
  const std::vector<Case> cases{
      {row_major_view({2, 3, 4, 5}), true},
      {row_major_view({7, 3, 1, 1}), true},
      {{{2, 3, 4, 5}, {60, 1, 15, 3}, 0}, true},  // channels-last
      {{{6, 4}, {1, 6}, 0}, true},                // transposed
      {{{4, 3}, {6, 2}, 1}, true},                // every second, shifted
      {{{2, 3}, {6, 1}, 8}, true},                // a slice
      {{{3, 5}, {1, 0}, 0}, true},                // expanded
      {{{5, 3}, {0, 1}, 2}, true},                // expanded outside
      {{{5, 4}, {1, 1}, 0}, false},               // sliding windows
      {{{2, 3, 2, 3}, {1, 20, 2, 7}, 3}, true},
      {{{2, 3, 2, 3}, {1, 3, 2, 7}, 3}, false},
      {{{}, {}, 5}, true},
      {{{1, 1, 1}, {99, 99, 99}, 4}, true},
      {{{0, 4}, {4, 1}, 0}, true},
  };
  const std::vector<float> stored = counting(130);
  for (const auto& [view, in_order] : cases) {
    EXPECT_EQ(is_in_order(view), in_order) << view.shape;
    ASSERT_TRUE(extent_of(view));
    ASSERT_LE(*extent_of(view), int64_t(stored.size()));
    for (const int64_t block : {1, 2, 3, 7, 16, 130}) {
      if (!in_order && block < 130) continue;
      ViewReader reader(StoredType::f32, view);
      for (int64_t first = 0; first < 130; first += block)
        reader.take(reinterpret_cast<const char*>(stored.data() + first), first, std::min<int64_t>(block, 130 - first));
      EXPECT_TRUE(reader.complete());
      EXPECT_EQ(reader.finish("x").to_vector(), by_indexing(view, stored)) << view.shape << " by " << block;
    }
  }
}

TEST(Stored, ExtentsAndProductsThatOverflow) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(extent_of({{2, 3}, {3, 1}, 4}), 10);
  EXPECT_EQ(extent_of({{0, 3}, {3, 1}, 4}), 0);
  EXPECT_FALSE(extent_of({{2, 3}, {3}, 0}));
  EXPECT_FALSE(extent_of({{2}, {-1}, 1}));
  EXPECT_FALSE(extent_of({{2}, {1}, -1}));
  EXPECT_FALSE(extent_of({{-2}, {1}, 0}));
  EXPECT_FALSE(extent_of({{3}, {kHuge / 2 + 1}, 0}));
  EXPECT_FALSE(extent_of({{2, 2}, {kHuge, 1}, 0}));
  EXPECT_FALSE(extent_of({{1}, {1}, kHuge}));
  EXPECT_FALSE(extent_of({{1LL << 32, 1LL << 32}, {0, 0}, 0}));
  EXPECT_EQ(bytes_of({3, 4}, 8), 96);
  EXPECT_EQ(bytes_of({0, kHuge}, 1), 0);
  EXPECT_FALSE(bytes_of({0, kHuge}, 2));
  EXPECT_FALSE(bytes_of({kHuge, 2, 0}, 1));
}

TEST(Stored, EveryPatternOfSixteenBitsComesBack) {
  std::string patterns;
  for (uint32_t i = 0; i < 65536; ++i) patterns += {char(i & 255), char(i >> 8)};
  for (const StoredType type : {StoredType::f16, StoredType::bf16, StoredType::i16, StoredType::u16}) {
    ViewReader reader(type, row_major_view({65536}));
    reader.take(patterns.data(), 0, 65536);
    std::string back;
    append_stored(reader.finish("x"), type, &back);
    EXPECT_EQ(back, patterns) << torch_name(type);
  }
}

TEST(Stored, NarrowerTypesRefuseWhatTheyDoNotHold) {
  std::string out;
  for (const auto& [type, value] : std::vector<std::pair<StoredType, double>>{{StoredType::f16, 70000},
                                                                              {StoredType::f16, 1.0001},
                                                                              {StoredType::f16, 1e-9},
                                                                              {StoredType::bf16, 1.001},
                                                                              {StoredType::i8, 128},
                                                                              {StoredType::u8, -1},
                                                                              {StoredType::boolean, 300},
                                                                              {StoredType::i32, 1LL << 31}})
    EXPECT_THROW(append_stored(full({1}, value, value_type(type)), type, &out), Error) << torch_name(type) << value;
  EXPECT_THROW(append_stored(full({1}, 1), StoredType::i8, &out), Error);
}

TEST(Stored, UnsignedBeyondInt64IsRefused) {
  ViewReader reader(StoredType::u64, row_major_view({1}));
  reader.take("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 0, 1);
  EXPECT_THROW(reader.finish("x"), Error);
}

}  // namespace
}  // namespace echodiff
