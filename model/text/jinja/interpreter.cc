#include "model/text/jinja/interpreter.h"

#include <utility>

#include "model/text/jinja/builtins.h"
#include "model/text/jinja/nesting.h"
#include "model/text/jinja/print.h"

namespace bramble::model::text::jinja {

Interpreter::Interpreter(Context& context, std::unordered_map<std::string, Value> variables,
                         std::size_t output_bytes)
    : context_(context), output_bytes_(output_bytes) {
  scopes_.push_back(std::move(variables));
}

MarkedString Interpreter::Run(const Body& body) {
  Execute(body);
  return std::move(out_);
}

Interpreter::Flow Interpreter::Execute(const Body& body) {
  for (const Statement& statement : body) {
    const Flow flow = Execute(statement);
    if (context_.failed()) return Flow::kNext;
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::Execute(const Statement& statement) {
  const Nesting nesting(*this);
  context_.set_line(statement.line);
  if (context_.failed() || !context_.budget().Step()) return Flow::kNext;
  switch (statement.kind) {
    case Statement::Kind::kText:
      Print(MarkedString(statement.text, true));
      break;
    case Statement::Kind::kPrint:
      Print(Evaluate(*statement.value));
      break;
    case Statement::Kind::kIf:
      return If(statement);
    case Statement::Kind::kFor:
      return For(statement);
    case Statement::Kind::kSet:
      Assign(*statement.target, Evaluate(*statement.value));
      break;
    case Statement::Kind::kSetBlock:
      Assign(*statement.target,
             Filtered(statement.value.get(), context_.NewText(Capture(statement.body))));
      break;
    case Statement::Kind::kFilter:
      Print(Filtered(statement.value.get(), context_.NewText(Capture(statement.body))));
      break;
    case Statement::Kind::kMacro:
      SetVariable(statement.text, Value(Macro{&statement}));
      break;
    case Statement::Kind::kWith:
      With(statement);
      break;
    case Statement::Kind::kBlock:
      return Execute(statement.body);
    case Statement::Kind::kBreak:
      return Flow::kBreak;
    case Statement::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::If(const Statement& statement) {
  for (const Branch& branch : statement.branches) {
    const bool holds = branch.condition == nullptr || Evaluate(*branch.condition).IsTrue();
    if (context_.failed()) return Flow::kNext;
    if (holds) return Execute(branch.body);
  }
  return Flow::kNext;
}

std::vector<Value> Interpreter::LoopItems(const Statement& statement) {
  std::vector<Value> items;
  if (!Items(context_, Evaluate(*statement.value), items) || statement.condition == nullptr)
    return items;
  std::vector<Value> wanted;
  for (Value& item : items) {
    if (context_.failed()) break;
    scopes_.emplace_back();
    Assign(*statement.target, item);
    if (Evaluate(*statement.condition).IsTrue()) wanted.push_back(std::move(item));
    scopes_.pop_back();
  }
  return wanted;
}

Interpreter::Flow Interpreter::For(const Statement& statement) {
  const Value list = context_.NewList(LoopItems(statement));
  if (context_.failed()) return Flow::kNext;
  const auto items = *list.As<std::shared_ptr<const List>>();
  ++loop_depth_;
  for (std::size_t i = 0; i < items->items.size() && !context_.failed(); ++i) {
    context_.set_line(statement.line);
    if (!context_.budget().Step()) break;
    // A scope of its own for each round: what one sets is gone in the next.
    scopes_.emplace_back();
    scopes_.back()["loop"] =
        Value(std::shared_ptr<const Loop>(std::make_shared<Loop>(Loop{items, i, loop_depth_})));
    Assign(*statement.target, items->items[i]);
    const Flow flow = Execute(statement.body);
    scopes_.pop_back();
    if (flow == Flow::kBreak) break;
  }
  --loop_depth_;
  if (!items->items.empty()) return Flow::kNext;
  scopes_.emplace_back();
  const Flow flow = Execute(statement.otherwise);
  scopes_.pop_back();
  return flow;
}

void Interpreter::With(const Statement& statement) {
  Scope scope;
  for (const Parameter& parameter : statement.parameters)
    scope[parameter.name] = Evaluate(*parameter.value);
  scopes_.push_back(std::move(scope));
  Execute(statement.body);
  scopes_.pop_back();
}

void Interpreter::Print(const Value& value) {
  if (context_.failed()) return;
  if (const MarkedString* text = value.AsText()) return Print(*text);
  Print(ToText(context_, value));
}

void Interpreter::Print(const MarkedString& text) {
  if (text.size() > output_bytes_ - printed_) {
    context_.Fail("the output has more than ", output_bytes_, " bytes");
    return;
  }
  if (!context_.budget().Step(text.size() / 256)) return;
  printed_ += text.size();
  out_.Append(text);
}

MarkedString Interpreter::Capture(const Body& body) {
  MarkedString outer = std::exchange(out_, MarkedString());
  Execute(body);
  MarkedString captured = std::exchange(out_, std::move(outer));
  printed_ -= captured.size();
  return captured;
}

void Interpreter::SetVariable(const std::string& name, Value value) {
  scopes_.back()[name] = std::move(value);
}

void Interpreter::Assign(const Expression& target, Value value) {
  if (context_.failed()) return;
  if (target.kind == Expression::Kind::kName) return SetVariable(target.name, std::move(value));
  if (target.kind == Expression::Kind::kAttribute) {
    const Value object = Name(target.operands[0]->name);
    const auto* space = object.As<std::shared_ptr<Namespace>>();
    if (space == nullptr) {
      context_.Fail("'", target.operands[0]->name, "' is not a namespace, so '", target.name,
                    "' of it cannot be set");
    } else if (value.As<std::shared_ptr<Namespace>>() != nullptr ||
               value.Depth() >= context_.depth_limit()) {
      context_.Fail(
          "a namespace, or lists that lie too deep in each other, cannot be put into a namespace");
    } else if (context_.budget().Bytes(2 * sizeof(Value))) {
      (*space)->values.Set(MakeText(target.name, true), std::move(value));
    }
    return;
  }
  std::vector<Value> parts;
  if (!Items(context_, value, parts)) return;
  if (parts.size() != target.operands.size()) {
    context_.Fail(target.operands.size(), " names are to get the ", parts.size(), " elements of a ",
                  value.TypeName());
    return;
  }
  for (std::size_t i = 0; i < parts.size(); ++i) Assign(*target.operands[i], std::move(parts[i]));
}

}  // namespace bramble::model::text::jinja
