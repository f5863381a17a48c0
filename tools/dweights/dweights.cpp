// dweights: files of weights, PyTorch's and ours. Each group of subcommands lies in its own file, dweights_*.cpp.
#include "dweights/dweights.h"

int main(int argc, char** argv) {
  using namespace echodiff;
  FileCommands files;
  ImportCommand import;
  ExportCommand export_run;
  VerifyCommand verify;
  const ProgramInfo info{"dweights", "Looks into, converts and compares files of weights; no code in them is ever run.",
                         "dweights inspect checkpoint.pt"};
  return run_program(argc, argv, info, [&](Options& root) {
    files.declare(root);
    import.declare(root);
    export_run.declare(root);
    verify.declare(root);
  });
}
