#include "proto/program/meet.h"

#include <string>

#include "proto/program/limits.h"
#include "proto/program/shape_rules.h"

namespace bramble::program {
namespace {

Status CheckReaders(const v1::Block& block, std::uint32_t value) {
  for (int i = 0; i < block.operations_size(); ++i) {
    const v1::Operation& op = block.operations(i);
    for (int k = 0; k < op.inputs_size(); ++k) {
      if (op.inputs(k) != value || TakesA8(op, k)) continue;
      return Invalid("value ", value, " comes in the form A8_32, and ",
                     Printable(op.name(), "operation", static_cast<std::size_t>(i)),
                     " does not take that");
    }
  }
  for (const v1::Port& port : block.outputs()) {
    if (port.value() == value) {
      return Invalid("value ", value, " comes in the form A8_32, and leaves the block");
    }
  }
  return {};
}

}  // namespace

bool TakesA8(const v1::Operation& op, int i) {
  if (op.has_linear()) return op.linear().input_form() == v1::INPUT_FORM_A8_32;
  return op.has_moe() && i == 0 && op.moe().input_form() == v1::INPUT_FORM_A8_32;
}

Status CheckMeet(const Site& site) {
  const v1::Meet& meet = site.op.meet();
  const auto members = static_cast<std::uint32_t>(meet.columns_size());
  if (members < 2 || members > kMaxMembers) {
    return Invalid("columns are of ", members, " members, must be of 2 to ", kMaxMembers);
  }
  if (meet.member() >= members) return Invalid("member is ", meet.member(), " of ", members);
  if (meet.has_receiver() && meet.receiver() >= members) {
    return Invalid("receiver is ", meet.receiver(), " of ", members);
  }
  if (meet.form() != v1::INPUT_FORM_F32 && meet.form() != v1::INPUT_FORM_A8_32) {
    return Invalid("form ", static_cast<int>(meet.form()), " does not exist");
  }
  std::uint64_t total = 0;
  for (const std::uint32_t columns : meet.columns()) {
    if (meet.form() == v1::INPUT_FORM_A8_32 && columns % 32 != 0) {
      return Invalid(columns, " columns are not a multiple of 32, as A8_32 needs");
    }
    total += columns;
  }
  const std::uint32_t own = meet.columns(static_cast<int>(meet.member()));
  const bool receives = !meet.has_receiver() || meet.receiver() == meet.member();
  if (own == 0 && !receives) return Invalid("neither brings nor receives anything");
  RETURN_IF_ERROR(Operands(site, own > 0 ? 1 : 0, receives ? 1 : 0));
  if (own > 0) RETURN_IF_ERROR(Width("the input", site.in(0), own));
  if (receives) RETURN_IF_ERROR(Width("the output", site.out(0), total));
  if (own == 0 || !receives) return {};
  return Rows("the input", site.in(0), site.out(0).rows());
}

Status CheckReadersOfMeetings(const v1::Block& block) {
  for (int i = 0; i < block.operations_size(); ++i) {
    const v1::Operation& op = block.operations(i);
    if (!op.has_meet() || op.outputs_size() == 0) continue;
    if (op.meet().form() != v1::INPUT_FORM_A8_32) continue;
    RETURN_IF_ERROR(
        CheckReaders(block, op.outputs(0))
            .WithContext(Printable(op.name(), "operation", static_cast<std::size_t>(i))));
  }
  return {};
}

}  // namespace bramble::program
