#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "model/families/compilation.h"
#include "model/families/fields.h"
#include "model/families/rope.h"

namespace bramble::model::families {

// Outputs of a matrix (and of its bias): all of it, or a part of a fused one.
struct MatrixPart {
  TensorName tensor;
  RowRange rows;
};

// Where the norms of a layer stand.
enum class NormPlace : std::uint8_t {
  kBefore,          // of each branch
  kAfter,           // of what each branch gives, before it is added
  kBeforeAndAfter,  // both
  kBehindSum,       // of the sum: "post-norm"
};

// How the heads of q and k are normalized.
enum class HeadNorms : std::uint8_t {
  kNone,
  kShared,   // each head, by one gain of a head's size
  kOwn,      // each head, by a gain of its own: a matrix [heads, head_dim]
  kOwnEach,  // the same, each gain a tensor of its own ("NAME.norms.HEAD")
  kWhole,    // all heads as one row
};

// How config.json names the sizes. GGUF names them alike for all.
struct SizeNames {
  std::string_view width = "hidden_size";
  std::string_view layers = "num_hidden_layers";
  std::string_view heads = "num_attention_heads";
  std::string_view kv_heads = "num_key_value_heads";
  std::string_view head_dim = "head_dim";
  std::string_view inner = "intermediate_size";
  std::string_view context = "max_position_embeddings";
};

// The tensors of a decoder; those of a layer have '#' in their names. `head` has no prefix.
struct DecoderNames {
  TensorName embedding = {"token_embd", "embed_tokens"};
  TensorName embedding_norm;
  TensorName positions;
  TensorName project_in;
  TensorName attention_norm = {"blk.#.attn_norm", "layers.#.input_layernorm"};
  TensorName query_norm = {"blk.#.attn_q_norm", "layers.#.self_attn.q_norm"};
  TensorName key_norm = {"blk.#.attn_k_norm", "layers.#.self_attn.k_norm"};
  TensorName attention_out = {"blk.#.attn_output", "layers.#.self_attn.o_proj"};
  TensorName after_attention;
  TensorName feed_norm = {"blk.#.ffn_norm", "layers.#.post_attention_layernorm"};
  TensorName down = {"blk.#.ffn_down", "layers.#.mlp.down_proj"};
  TensorName after_feed;
  TensorName final_norm = {"output_norm", "norm"};
  TensorName project_out;
  TensorName head = {"output", "lm_head"};
};

// The shape that most decoder-only models share, as data. A family reads its description into one,
// says where its tensors are, and hands it to CompileDecoder.
struct Decoder {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t inner = 0;
  DecoderNames names;

  // The embedding.
  std::uint32_t embedding_width = 0;  // 0: the model's width; otherwise project_in follows
  float embedding_scale = 1;
  bool embedding_norm = false;
  std::optional<std::uint32_t> position_offset;  // learned positions, from this row of their table

  // The norms.
  v1::Norm::Kind norm = v1::Norm::KIND_RMS;
  float epsilon = 0;
  bool norm_gain = true;
  bool norm_bias = false;
  float norm_added = 0;  // to the gains of the file
  NormPlace norm_place = NormPlace::kBefore;

  // The branches.
  bool parallel = false;         // both read the layer's input
  bool one_norm = false;         // parallel: the feed-forward network reads the attention's norm
  bool normed_residual = false;  // what is added to is the norm's result, not its input
  float branch_scale = 1;

  // Attention.
  MatrixPart query;
  MatrixPart key;
  MatrixPart value;
  bool query_bias = false;  // and of keys and values
  bool output_bias = false;
  float clamp = 0;  // of q, k and v; 0: none
  HeadNorms head_norms = HeadNorms::kNone;
  bool head_norm_bias = false;
  float scale = 0;  // of scores; 0: 1 / sqrt(head_dim)
  float score_cap = 0;
  std::vector<float> slopes;           // [heads], or empty
  std::vector<std::uint32_t> windows;  // by layer, 0: everything is seen; or empty
  v1::Rope::Style rope_style = v1::Rope::STYLE_HALF;
  std::optional<Rotation> rotation;
  std::optional<Rotation> local_rotation;  // of layers with a window, if it is another
  std::vector<bool> rotated;               // by layer; or empty: all

  // The feed-forward network: down(function(gate) * up), or down(function(up)).
  std::optional<MatrixPart> gate;
  MatrixPart up;
  bool feed_bias = false;
  v1::Function function = v1::FUNCTION_SILU;

  // The head.
  bool final_norm = true;
  bool tied = false;
  bool head_bias = false;
  float logit_scale = 1;
  float logit_cap = 0;
};

// A decoder with the sizes that the description gives, and the context, which config.json may leave
// out where `hf_context` is not 0. Errors go to `f`.
Decoder ReadSizes(Fields* f, Compilation* c, const SizeNames& names = {},
                  std::uint32_t hf_context = 0);
// The number of key-value heads of `heads`, which must be a multiple of it.
std::uint32_t ReadKvHeads(Fields* f, Key key, std::uint32_t heads);

// The norms' kind and epsilon. Layer norms have biases unless the family then says otherwise.
void ReadLayerNorm(Fields* f, Key epsilon, double hf_default, Decoder* d);
void ReadRmsNorm(Fields* f, double hf_default, Decoder* d);

// Three matrices of their own, as "layers.#.self_attn.q_proj" and "blk.#.attn_q".
void SplitQueryKeyValue(Decoder* d, std::string_view hf_query = "layers.#.self_attn.q_proj",
                        std::string_view hf_key = "layers.#.self_attn.k_proj",
                        std::string_view hf_value = "layers.#.self_attn.v_proj");
// One matrix: all rows of q, then of k, then of v.
void FuseQueryKeyValue(Decoder* d, TensorName tensor);
// One matrix: for each key-value head the rows of its queries, of k and of v.
void InterleaveQueryKeyValue(Decoder* d, TensorName tensor);
// "layers.#.mlp.gate_proj" and "up_proj".
void GateAndUp(Decoder* d);

// Whether the head is the embedding's table.
bool ReadTied(Fields* f, const Compilation& c, bool hf_default);

// The slopes of ALiBi (https://arxiv.org/abs/2108.12409) for any number of heads: those of the
// power of two below, then every second one of the power of two above.
std::vector<float> AlibiSlopes(std::uint32_t heads, double most = 8);

// Checks the vocabulary and the context, and writes the program. Requires that everything of `d`
// but the numbers that ReadSizes checks is in range.
Status CompileDecoder(Compilation* c, Fields* f, const Decoder& d);

}  // namespace bramble::model::families
