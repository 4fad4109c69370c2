#pragma once

#include "common/status.h"
#include "proto/program/shapes.h"

// What the operations along a sequence require: rows of the table in shapes.cc.
namespace bramble::program {

Status CheckConvolution(const Site& site);
Status CheckPool(const Site& site);
Status CheckRecurrence(const Site& site);

}  // namespace bramble::program
