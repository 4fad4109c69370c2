#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "common/status.h"
#include "model/files/metadata.h"
#include "model/files/tensor_index.h"

// What torch.save writes (https://pytorch.org/docs/stable/notes/serialization.html): a zip archive
// since PyTorch 1.6, and before that pickles one behind the other. Nothing in it is run: see
// pickle.h.
namespace bramble::model::files {

// The content of one file. Tensors point into the file's bytes, or into `owned` where their
// elements do not lie side by side.
struct PytorchFile {
  std::vector<Tensor> tensors;
  // Texts, flags and numbers beside the tensors, by the keys that lead to them:
  // "model_args.n_head".
  Metadata metadata;
  std::vector<std::shared_ptr<const std::vector<std::byte>>> owned;
  bool zip = false;
};

// Whether a file with this beginning (16 bytes are enough) can be one of these.
bool IsPytorch(std::span<const std::byte> head);

// Reads a file's bytes, which must outlive what is read. Of a checkpoint of a training run (a dict
// with the weights under "model", "state_dict", ... beside other things) only the weights count;
// "module." and "_orig_mod." in front of all names are left out.
Result<PytorchFile> ReadPytorch(std::span<const std::byte> bytes);

}  // namespace bramble::model::files
