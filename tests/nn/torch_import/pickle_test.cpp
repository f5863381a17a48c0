// The pickle machine: what PyTorch writes is read, and everything else is refused with the byte where it stands.
#include "nn/torch_import/pickle.h"

#include <gtest/gtest.h>

#include "nn/torch_import/pickle_names.h"
#include "tests/nn/torch_import/torch_files.h"

namespace echodiff {
namespace {

FlatPickle flat(const std::string& pickle) {
  PickleBytes bytes(pickle);
  const Pickle read = read_pickle(bytes, 0, "F");
  return flatten_pickle(read, bytes, "F");
}

std::string refusal(const std::string& pickle) {
  try {
    flat(pickle);
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput);
    return error.what();
  }
  return "";
}

PickleWriter& add_tensor(PickleWriter& writer, const std::string& name) {
  return writer.text(name).tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1}).set_item();
}

std::string names_of(const FlatPickle& file) {
  std::string names;
  for (const FlatPickle::Entry& entry : file.tensors) names += entry.name + " ";
  return names;
}

TEST(Pickle, NestedNamesAndLeaves) {
  PickleWriter writer;
  writer.dict();
  add_tensor(writer, "w");
  writer.text("opt").dict().text("state").dict();
  writer.integer(0).dict();
  add_tensor(writer, "exp_avg").set_item().set_item();
  writer.text("betas").raw("(").real(0.9).real(0.999).raw("t").set_item();
  writer.text("groups").raw("](").integer(7).raw("N\x88").text("x").raw("e").set_item().set_item();
  const FlatPickle file = flat(writer.text("empty").raw("]").set_item().stop());
  EXPECT_EQ(names_of(file), "w opt.state.0.exp_avg ");
  std::string leaves;
  for (const SourceLeaf& leaf : file.leaves) leaves += leaf.name + "=" + leaf.text + " ";
  EXPECT_EQ(leaves,
            "opt.betas.0=0.9 opt.betas.1=0.999 opt.groups.0=7 opt.groups.1=None opt.groups.2=True opt.groups.3=x "
            "empty=a list of 0 ");
  EXPECT_EQ(file.leaves[0].real, 0.9);
  EXPECT_EQ(file.leaves[2].integer, 7);
  EXPECT_EQ(file.leaves[4].kind, SourceLeaf::Kind::kBoolean);
}

TEST(Pickle, WrappersOfTensorsAreTransparent) {
  const auto tensor = [](PickleWriter& w) { w.tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1}); };
  PickleWriter w;
  w.raw("}(").text("parameter").global("torch._utils", "_rebuild_parameter").raw("(");
  tensor(w);
  w.raw("\x88").ordered_dict().raw("tR");
  w.text("with_state").global("torch._utils", "_rebuild_parameter_with_state").raw("(");
  tensor(w);
  w.raw("\x88").ordered_dict().dict().raw("tR");
  w.text("from_type").global("torch._tensor", "_rebuild_from_type_v2").raw("(");
  w.global("torch._utils", "_rebuild_tensor_v2").global("torch.nn.parameter", "Parameter").raw("(");
  w.storage("FloatStorage", "0", 6).integer(0).integers({2, 3}).integers({3, 1}).raw("\x89").ordered_dict().raw("t}tR");
  w.text("v3").global("torch._utils", "_rebuild_tensor_v3").raw("(").storage("UntypedStorage", "1", 6).integer(0);
  w.integers({3}).integers({1}).raw("\x89").ordered_dict().global("torch", "uint16").raw("tR");
  w.text("old").global("torch._utils", "_rebuild_tensor").raw("(").storage("FloatStorage", "0", 6).integer(0);
  w.integers({6}).integers({1}).raw("tR");
  w.text("attributes");
  tensor(w);
  w.dict().text("note").text("x").set_item().raw("b");
  w.text("from_gpu").global("torch._utils", "_rebuild_tensor_v2").raw("(").storage("HalfStorage", "2", 2, "cuda:0");
  w.integer(0).integers({2}).integers({1}).raw("\x89").ordered_dict().raw("tR");
  EXPECT_EQ(names_of(flat(w.raw("u").stop())), "parameter with_state from_type v3 old attributes from_gpu ");
}

TEST(Pickle, DataBesideTensors) {
  PickleWriter w;
  w.raw("}(").text("w").tensor("FloatStorage", "0", 6, 0, {6}, {1});
  w.text("bytes").global("_codecs", "encode").text("ab").text("latin1").raw("\x86R");
  w.text("set").global("__builtin__", "set").raw("](").integer(1).raw("e\x85R");
  w.text("size").global("torch", "Size").integers({2, 3}).raw("\x85R");
  w.text("device").global("torch", "device").text("cuda").integer(0).raw("\x86R");
  w.text("dtype").global("torch", "float16");
  w.text("counter").global("collections", "Counter").dict().integer(5).integer(1).set_item().raw("\x85R");
  w.text("pairs").global("collections", "OrderedDict").raw("](](").text("k").integer(4).raw("ee\x85R");
  w.text("args").global("argparse", "Namespace").raw(")\x81}").text("lr").real(0.5).set_item().raw("b");
  w.text("best").global("numpy.core.multiarray", "scalar").global("numpy", "dtype").text("f8").raw("\x89\x88\x87R");
  w.raw("(").integer(3).text("<").raw("NNNtb").raw("C\x02xy\x86R");
  std::string leaves;
  for (const SourceLeaf& leaf : flat(w.raw("u").stop()).leaves) leaves += leaf.name + "=" + leaf.text + "; ";
  EXPECT_EQ(leaves,
            "bytes=2 bytes; set.0=1; size.0=2; size.1=3; device=cuda; dtype=torch.float16; counter.5=1; pairs.k=4; "
            "args.lr=0.5; best=numpy.core.multiarray.scalar; ");
}

TEST(Pickle, Protocol4And5) {
  for (const int protocol : {4, 5}) {
    PickleWriter w(protocol);
    w.raw(std::string("\x95\x04\0\0\0\0\0\0\0", 9))
        .raw("}\x94\x8C\x01w\x94")
        .tensor("FloatStorage", "0", 6, 0, {6}, {1});
    w.raw("s").raw(
        "\x8C\x01v\x94\x8C\x0C"
        "torch._utils"
        "\x8C\x12"
        "_rebuild_tensor_v2"
        "\x93(");
    w.storage("FloatStorage", "0", 6).integer(0).integers({6}).integers({1}).raw("\x89").ordered_dict().raw("tRs");
    w.raw("\x8C\x01s\x8F(")
        .integer(1)
        .raw(
            "\x90s\x8C\x01"
            "f(")
        .integer(1)
        .raw("\x91s");
    w.raw(
         "\x8C\x01"
         "b\x8E")
        .raw(std::string("\x01\0\0\0\0\0\0\0z", 9))
        .raw(
            "sh\x02h\x02"
            "0Ns");
    const FlatPickle file = flat(w.stop());
    EXPECT_EQ(names_of(file), "w v ");
    EXPECT_EQ(file.leaves.size(), 4U);
  }
}

TEST(Pickle, NothingIsEverCalled) {
  for (const auto& [module, name] :
       std::vector<std::pair<std::string, std::string>>{{"posix", "system"},
                                                        {"os", "system"},
                                                        {"builtins", "eval"},
                                                        {"__builtin__", "getattr"},
                                                        {"subprocess", "Popen"},
                                                        {"torch", "load"},
                                                        {"torch.storage", "_load_from_bytes"},
                                                        {"numpy", "load"},
                                                        {"torch.hub", "load"},
                                                        {"collections", "namedtuple"},
                                                        {"functools", "partial"},
                                                        {"torch", "Tensor.map_"},
                                                        {"torch.utils._python_dispatch", "x"},
                                                        {"", ""},
                                                        {"torch._utils", "_rebuild_sparse_tensor"},
                                                        {"torch._utils", "_rebuild_qtensor"},
                                                        {"torch._utils", "_rebuild_meta_tensor_no_storage"},
                                                        {"torch", "float8_e4m3fn"},
                                                        {"torch", "ComplexFloatStorage"},
                                                        {"torch", "QInt8Storage"}}) {
    const std::string by_name = refusal(PickleWriter().global(module, name).text("echo").raw("\x85R").stop());
    EXPECT_NE(by_name.find("F: byte 2: names \"" + module + "." + name + "\""), std::string::npos) << by_name;
    EXPECT_NE(refusal(PickleWriter(4).text(module).text(name).raw("\x93)R").stop()), "");
  }
  const std::string persistence =
      refusal(PickleWriter().global("torch_utils.persistence", "_reconstruct_persistent_obj").raw(")R").stop());
  EXPECT_NE(persistence.find("EDM"), std::string::npos) << persistence;
  const std::string module = refusal(PickleWriter().global("torch.nn.modules.conv", "Conv2d").raw(")\x81").stop());
  EXPECT_NE(module.find("state_dict()"), std::string::npos) << module;
}

TEST(Pickle, OtherOpcodesAreRefusedByName) {
  for (const auto& [bytes, name] : std::vector<std::pair<std::string, std::string>>{{"(iposix\nsystem\n", "INST"},
                                                                                    {"(o", "OBJ"},
                                                                                    {"P0\n", "PERSID"},
                                                                                    {"\x82\x01", "EXT1"},
                                                                                    {"\x83\x01", "EXT2"},
                                                                                    {"\x84\x01", "EXT4"},
                                                                                    {"\x92", "NEWOBJ_EX"},
                                                                                    {"\x97", "NEXT_BUFFER"},
                                                                                    {"\x98", "READONLY_BUFFER"},
                                                                                    {"I1\n", "INT"},
                                                                                    {"S'a'\n", "STRING"},
                                                                                    {"V\n", "UNICODE"},
                                                                                    {"p0\n", "PUT"},
                                                                                    {"g0\n", "GET"},
                                                                                    {"\x80\x02", "PROTO"},
                                                                                    {"F1\n", "FLOAT"},
                                                                                    {"L1\n", "LONG"}}) {
    const std::string message = refusal(PickleWriter().raw(bytes).stop());
    EXPECT_NE(message.find("byte "), std::string::npos);
    EXPECT_NE(message.find("opcode " + name), std::string::npos) << message;
  }
}

void expect_refusals(const std::vector<std::pair<std::string, std::string>>& bad) {
  for (const auto& [pickle, message] : bad) {
    const std::string found = refusal(pickle);
    EXPECT_NE(found.find(message), std::string::npos) << "expected " << message << ", found " << found;
    EXPECT_TRUE(found.starts_with("F: ")) << found;
    EXPECT_EQ(found.find('\n'), std::string::npos) << found;
  }
}

TEST(Pickle, ImpossibleTensorsAreRefused) {
  const auto tensor = [](const std::vector<int64_t>& shape, const std::vector<int64_t>& strides, int64_t offset,
                         int64_t count = 6) {
    PickleWriter w;
    w.dict().text("w").tensor("FloatStorage", "0", count, offset, shape, strides);
    return w.set_item().stop();
  };
  constexpr int64_t kHuge = int64_t(1) << 62;
  expect_refusals({
      {tensor({2, 4}, {4, 1}, 0), "reaches element 8, expected at most 6"},
      {tensor({2, 3}, {3, 1}, 1), "reaches element 7"},
      {tensor({2, 3}, {3, 1}, -1), "offset -1"},
      {tensor({6}, {-1}, 5), "stride (-1)"},
      {tensor({-6}, {1}, 0), "size (-6)"},
      {tensor({2, 3}, {3}, 0), "one non-negative stride per size"},
      {tensor({kHuge, kHuge}, {0, 0}, 0), "product"},
      {tensor({0, kHuge, 4}, {1, 1, 1}, 0), "product"},
      {tensor({3}, {kHuge}, 0), "product"},
      {tensor({1}, {1}, 0, -1), "has -1 elements"},
      {tensor({1}, {1}, 0, kHuge), "elements, expected 0 to 2^60"},
      {tensor(std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1), 0), "65 numbers"},
  });
}

TEST(Pickle, RefusalsSayWhereAndWhat) {
  const auto id = [](const std::string& parts) {
    return PickleWriter()
        .raw("(")
        .text("storage")
        .global("torch", "FloatStorage")
        .text("0")
        .text("cpu")
        .raw(parts)
        .raw("tQ")
        .stop();
  };
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "]";
  for (int i = 0; i < 299; ++i) deep += "a";
  std::string bomb =
      "](K\x01K\x01"
      "e";  // each list holds the one before twice: 2^60 leaves
  for (int i = 0; i < 60; ++i)
    bomb +=
        "q\x01"
        "0](h\x01h\x01"
        "e";
  expect_refusals({
      {PickleWriter().raw("R").stop(), "empty stack"},
      {PickleWriter().raw("(0").stop(), "empty stack"},
      {PickleWriter().raw("K\x01(0").stop(), "empty stack"},
      {PickleWriter().raw("t").stop(), "mark"},
      {PickleWriter().raw("K\x01K\x02").stop(), "leaves 2 values"},
      {PickleWriter().raw("K\x01(").stop(), "leaves 1 values"},
      {PickleWriter().stop(), "leaves 0 values"},
      {PickleWriter().raw("h\x05").stop(), "memo 5"},
      {PickleWriter().raw("q\x05").stop(), "empty stack"},
      {PickleWriter()
           .raw("}K\x01"
                "a")
           .stop(),
       "adds items to a dictionary"},
      {PickleWriter().raw("]K\x01K\x02s").stop(), "adds items to a list"},
      {PickleWriter().raw("}(K\x01u").stop(), "key without a value"},
      {PickleWriter().raw("K\x01)R").stop(), "expected a class"},
      {PickleWriter().global("collections", "OrderedDict").raw("K\x01R").stop(), "expected a tuple"},
      {PickleWriter().global("torch", "FloatStorage").raw(")R").stop(), "is called"},
      {PickleWriter().global("_codecs", "encode").text("a").text("rot13").raw("\x86R").stop(), "latin1"},
      {PickleWriter().global("torch._utils", "_rebuild_tensor_v2").raw(")R").stop(), "has 0 arguments"},
      {PickleWriter().raw("K\x01}b").stop(), "as state to an integer"},
      {PickleWriter().raw("]}b").stop(), "as state to a list"},
      {PickleWriter().raw("K\x01Q").stop(), "persistent id is an integer"},
      {PickleWriter().raw(")Q").stop(), "persistent id of 0 parts"},
      {id("N"), "number of elements is None"},
      {id("K\x06K\x01"), "view data of unknown shape"},
      {id(std::string("K\x06(X\x01\0\0\0vK\x04K\x04t", 14)), "a view of"},
      {PickleWriter().raw("(").text("module").global("torch", "FloatStorage").text("a").text("b").raw("K\x01tQ").stop(),
       "whole pickled module"},
      {PickleWriter(1).stop(), "protocol 1"},
      {PickleWriter(6).stop(), "protocol 6"},
      {"", "ends within"},
      {"\x80\x02", "without STOP"},
      {PickleWriter()
           .raw("X\xFF\xFF\xFF\xFF"
                "a")
           .stop(),
       "length 4294967295"},
      {PickleWriter().raw("\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF").stop(), "length 18446744073709551615"},
      {PickleWriter(4).raw("\x95\xFF\0\0\0\0\0\0\0").stop(), "ends within"},
      {PickleWriter().raw("\xF7").stop(), "opcode 247"},
      {PickleWriter().raw("cposix").stop(), "has no end"},
      {PickleWriter().integer(42).stop(), "holds an integer"},
      {PickleWriter().dict().stop(), "holds no tensor"},
      {PickleWriter()
           .raw("]q\x01h\x01"
                "a")
           .stop(),
       "contains itself"},
      {PickleWriter().raw("}q\x01K\x01h\x01s").stop(), "contains itself"},
      {PickleWriter().raw(deep).stop(), "nested deeper"},
      {PickleWriter().raw(bomb).stop(), "more than the pickle's size allows"},
      {PickleWriter().raw("}]K\x01s").stop(), "a key that is a list"},
  });
}

TEST(Pickle, NamesThatClashOrAreNotText) {
  PickleWriter twice;
  twice.dict();
  add_tensor(twice, "a.b");
  twice.text("a").dict();
  add_tensor(twice, "b").set_item();
  EXPECT_NE(refusal(twice.stop()).find("two tensors are called \"a.b\""), std::string::npos);
  PickleWriter wrong;
  wrong.dict();
  EXPECT_NE(refusal(add_tensor(wrong, "\xFF").stop()).find("not UTF-8"), std::string::npos);
}

TEST(Pickle, MemoIndicesMayBeHuge) {
  PickleWriter w;
  w.raw("}r\xFF\xFF\xFF\xFF");
  add_tensor(w, "w").raw(
      "j\xFF\xFF\xFF\xFF"
      "0");
  EXPECT_EQ(names_of(flat(w.stop())), "w ");
}

// Repeated use of what was made once costs nothing that the bytes don't pay for.
TEST(Pickle, SmallPicklesCannotAskForMuchTimeOrMemory) {
  std::string tuples = "(";
  for (int i = 0; i < 100000; ++i) tuples += "K\x01";
  tuples +=
      "tq\x01"
      "0";
  std::string calls;
  for (int i = 0; i < 50000; ++i) calls += "h\x01Q0";
  EXPECT_NE(refusal(PickleWriter().raw(tuples + calls).stop()).find("100000 parts"), std::string::npos);
  calls.clear();
  for (int i = 0; i < 50000; ++i) calls += "h\x02h\x01R0";
  EXPECT_NE(refusal(PickleWriter()
                        .raw(tuples)
                        .global("torch", "Size")
                        .raw("q\x02"
                             "0" +
                             calls)
                        .stop()),
            "");
  calls.clear();  // an OrderedDict of a long list, again and again
  for (int i = 0; i < 50000; ++i) calls += "h\x02h\x01\x85R0";
  EXPECT_NE(refusal(PickleWriter()
                        .raw("}(" + tuples.substr(1, 200000) +
                             "uq\x01"
                             "0")
                        .global("collections", "Counter")
                        .raw("q\x02"
                             "0" +
                             calls)
                        .stop())
                .find("more memory than its size allows"),
            std::string::npos);
}

}  // namespace
}  // namespace echodiff
