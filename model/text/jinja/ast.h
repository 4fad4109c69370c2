#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/text/jinja/value.h"

// The syntax tree of a template. Plain data; immutable after parsing.
namespace bramble::model::text::jinja {

enum class Operator : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

// An argument of a call, a filter or a test. Without a name: by place.
struct Argument {
  std::string name;
  ExpressionPtr value;
};

struct Expression {
  enum class Kind : std::uint8_t {
    kConstant,   // constant
    kName,       // name
    kAttribute,  // operands[0].name
    kItem,       // operands[0][operands[1]]
    kSlice,      // operands[0][operands[1]:operands[2]:operands[3]], null where left out
    kCall,       // operands[0](arguments)
    kFilter,     // operands[0] | name(arguments)
    kTest,       // operands[0] is name(arguments)
    kNot,        // not operands[0]
    kNegate,     // - operands[0]
    kPositive,   // + operands[0]
    kBinary,     // operands[0] operators[0] operands[1]
    kCompare,    // operands[0] operators[0] operands[1] operators[1] operands[2] ...
    kAnd,        // operands[0] and operands[1]
    kOr,         // operands[0] or operands[1]
    kConcat,     // operands[0] ~ operands[1] ~ ...
    kCondition,  // operands[0] if operands[1] else operands[2] (null: undefined)
    kList,       // [operands...]
    kTuple,      // (operands...)
    kDict,       // {operands[0]: operands[1], ...}
  };

  Kind kind = Kind::kConstant;
  std::uint32_t line = 0;
  std::uint32_t depth = 1;  // of the tree below, itself included
  std::string name;
  Value constant;
  std::vector<Operator> operators;
  std::vector<ExpressionPtr> operands;
  std::vector<Argument> arguments;
};

struct Statement;
using Body = std::vector<Statement>;

// `{% if %}` and its `{% elif %}`; `{% else %}` has no condition.
struct Branch {
  ExpressionPtr condition;
  Body body;
};

// A parameter of a macro; no value: it has no default.
struct Parameter {
  std::string name;
  ExpressionPtr value;
};

struct Statement {
  enum class Kind : std::uint8_t {
    kText,      // text
    kPrint,     // value
    kIf,        // branches
    kFor,       // target in value, if condition: body; else: otherwise
    kSet,       // target = value
    kSetBlock,  // target = the output of body, through the filters of value (whose innermost
                // operand is null)
    kFilter,    // the output of body, through the filters of value
    kMacro,     // name(parameters): body
    kWith,      // targets and values in `parameters`: body
    kBlock,     // body as it is ({% generation %})
    kBreak,
    kContinue,
  };

  Kind kind = Kind::kText;
  std::uint32_t line = 0;
  std::string text;  // kText: what is printed; kMacro: the name
  ExpressionPtr target, value, condition;
  std::vector<Branch> branches;
  std::vector<Parameter> parameters;
  Body body, otherwise;
};

}  // namespace bramble::model::text::jinja
