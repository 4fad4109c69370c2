#pragma once

#include <span>
#include <string>

#include "common/status.h"
#include "model/families/compilation.h"
#include "model/files/model_files.h"

namespace bramble::model::families {

// One architecture, as model files name it. A new one is a compiler and a row (two where the
// dialects name it differently) in table.cc; no worker changes.
struct Family {
  const char* gguf;  // `general.architecture`; nullptr: not in this dialect
  const char* hf;    // config.json's `model_type`; nullptr: not in this dialect
  // Fills `c`: the program's blocks, and what Compilation says that a compiler leaves. Checks every
  // number of the description before it is used.
  Status (*compile)(Compilation* c);
};

std::span<const Family> Families();

// How the files name their family; empty if they do not.
std::string FamilyName(const files::ModelFiles& files);

// The family of the files. InvalidArgument: they name none. Unimplemented: it is not in the table.
Result<const Family*> FindFamily(const files::ModelFiles& files);

// The compilers.
Status CompileLlama(Compilation* c);
Status CompileMistral(Compilation* c);
Status CompileQwen2(Compilation* c);
Status CompileQwen3(Compilation* c);
Status CompileSmolLm3(Compilation* c);
Status CompileGemma3(Compilation* c);
Status CompileGpt2(Compilation* c);
Status CompileMixtral(Compilation* c);
Status CompileQwen2Moe(Compilation* c);
Status CompileQwen3Moe(Compilation* c);
Status CompileOlmoe(Compilation* c);
Status CompileGraniteMoe(Compilation* c);
Status CompilePhimoe(Compilation* c);
Status CompileGptOss(Compilation* c);
Status CompileDeepseekV2(Compilation* c);
Status CompileDeepseekV3(Compilation* c);
Status CompileGptNeoX(Compilation* c);
Status CompileGptJ(Compilation* c);
Status CompileCodeGen(Compilation* c);
Status CompileGptNeo(Compilation* c);
Status CompileOpt(Compilation* c);
Status CompilePhi(Compilation* c);
Status CompilePhi3(Compilation* c);
Status CompileStableLm(Compilation* c);
Status CompileStarCoder2(Compilation* c);
Status CompileNemotron(Compilation* c);
Status CompileCohere(Compilation* c);
Status CompileCohere2(Compilation* c);
Status CompileOlmo(Compilation* c);
Status CompileOlmo2(Compilation* c);
Status CompileGemma(Compilation* c);
Status CompileGemma2(Compilation* c);
Status CompileBloom(Compilation* c);
Status CompileMpt(Compilation* c);
Status CompileFalcon(Compilation* c);
Status CompileGranite(Compilation* c);
Status CompileNanoGpt(Compilation* c);
Status CompileMinGpt(Compilation* c);
Status CompileLitGpt(Compilation* c);
Status CompileBert(Compilation* c);
Status CompileRoberta(Compilation* c);
Status CompileDistilBert(Compilation* c);
Status CompileElectra(Compilation* c);
Status CompileModernBert(Compilation* c);
Status CompileMamba(Compilation* c);
Status CompileMamba2(Compilation* c);
Status CompileJamba(Compilation* c);
Status CompileLfm2(Compilation* c);
Status CompileRwkv(Compilation* c);
Status CompileT5(Compilation* c);
Status CompileBart(Compilation* c);
Status CompileMBart(Compilation* c);

}  // namespace bramble::model::families
