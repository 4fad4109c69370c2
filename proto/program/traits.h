#pragma once

#include "bramble/v1/program.pb.h"

namespace bramble::program {

// What a program asks of whoever feeds it.
struct Traits {
  // Rows see later ones, or one row is made of all: each sequence comes whole, in the one span that
  // starts it.
  bool whole_sequences = false;
  // Memory beyond keys and values: a sequence starts at position 0 and never goes back.
  bool states = false;
  // It reads a source: its ids come with the start.
  bool source = false;
  // It ends with ids. Otherwise it answers with the streams that leave it.
  bool draws = false;
  // It is one member's slice of a program, and meets the others.
  bool meets = false;
};

// Of a program or a part of one. Requires a checked program. Pure; any thread.
Traits TraitsOf(const v1::Program& program);

}  // namespace bramble::program
