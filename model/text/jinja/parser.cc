#include "model/text/jinja/parser.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "model/files/quote.h"
#include "model/text/jinja/expression_parser.h"
#include "model/text/jinja/token_reader.h"

namespace bramble::model::text::jinja {
namespace {

constexpr std::uint32_t kMaxBlockDepth = 64;

// Reads statements up to one of the given end words.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)), expressions_(tokens_) {}

  Result<Body> Run() {
    Body body = Until({});
    if (tokens_.failed()) return tokens_.status();
    return body;
  }

 private:
  using Kind = Statement::Kind;
  using Words = std::vector<std::string_view>;

  // Stops in front of the word (its "{%" is taken); with no words, at the end of the template.
  Body Until(const Words& ends) {
    Body body;
    if (++depth_ > kMaxBlockDepth) tokens_.Fail("blocks lie more than ", kMaxBlockDepth, " deep");
    while (!tokens_.failed()) {
      if (tokens_.Is(Token::Kind::kEnd)) {
        if (!ends.empty())
          tokens_.Fail("{% ", ends.back(), " %} is missing at the end of the template");
        break;
      }
      if (tokens_.Is(Token::Kind::kText)) {
        Statement& text = Add(body, Kind::kText);
        text.text = tokens_.Take().text;
      } else if (tokens_.Is(Token::Kind::kPrintBegin)) {
        tokens_.Take();
        Statement& print = Add(body, Kind::kPrint);
        print.value = expressions_.ParseTuple(true);
        tokens_.Expect(Token::Kind::kPrintEnd, "'}}'");
      } else {
        tokens_.Expect(Token::Kind::kBlockBegin, "'{%'");
        if (std::any_of(ends.begin(), ends.end(),
                        [this](std::string_view end) { return tokens_.IsName(end); }))
          break;
        Block(body);
      }
    }
    --depth_;
    return body;
  }

  Statement& Add(Body& body, Kind kind) {
    Statement& statement = body.emplace_back();
    statement.kind = kind;
    statement.line = tokens_.line();
    return statement;
  }

  void EndTag() { tokens_.Expect(Token::Kind::kBlockEnd, "'%}'"); }

  Body UntilEnd(std::string_view word) {
    Body body = Until({word});
    tokens_.ExpectName(word);
    EndTag();
    return body;
  }

  void Block(Body& body) {
    struct Row {
      std::string_view word;
      Kind kind;
      void (Parser::*parse)(Statement&);
    };
    constexpr Row kRows[] = {
        {"if", Kind::kIf, &Parser::If},
        {"for", Kind::kFor, &Parser::For},
        {"set", Kind::kSet, &Parser::Set},
        {"macro", Kind::kMacro, &Parser::Macro},
        {"with", Kind::kWith, &Parser::With},
        {"filter", Kind::kFilter, &Parser::Filter},
        {"break", Kind::kBreak, &Parser::Leave},
        {"continue", Kind::kContinue, &Parser::Leave},
        {"generation", Kind::kBlock, &Parser::Generation},
    };
    const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                   [this](const Row& each) { return tokens_.IsName(each.word); });
    if (row == std::end(kRows)) return Unknown();
    Statement& statement = Add(body, row->kind);
    tokens_.Take();
    (this->*row->parse)(statement);
  }

  void Unknown() {
    constexpr std::string_view kJinja[] = {"include", "import", "from",       "extends", "block",
                                           "call",    "do",     "autoescape", "trans",   "debug"};
    const Token& token = tokens_.Current();
    if (std::find(std::begin(kJinja), std::end(kJinja), token.text) != std::end(kJinja)) {
      tokens_.FailUnknown(
          "{% ", token.text,
          " %} is not known here; known are if, for, set, macro, with, filter, break, "
          "continue, raw and generation");
    } else {
      tokens_.Fail("{% ", files::Quote(token.text), " %} is not a statement that can stand here");
    }
  }

  void If(Statement& statement) {
    for (;;) {
      Branch branch;
      branch.condition = expressions_.ParseTuple(false);
      EndTag();
      branch.body = Until({"elif", "else", "endif"});
      statement.branches.push_back(std::move(branch));
      if (tokens_.failed() || !tokens_.SkipName("elif")) break;
    }
    if (tokens_.SkipName("else")) {
      EndTag();
      Branch branch;
      branch.body = Until({"endif"});
      statement.branches.push_back(std::move(branch));
    }
    tokens_.ExpectName("endif");
    EndTag();
  }

  void For(Statement& statement) {
    statement.target = expressions_.ParseTarget(false);
    tokens_.ExpectName("in");
    statement.value = expressions_.ParseTuple(false);
    if (tokens_.SkipName("if")) statement.condition = expressions_.Parse();
    if (tokens_.IsName("recursive")) tokens_.FailUnknown("recursive loops are not known");
    EndTag();
    ++loops_;
    ++scopes_;
    statement.body = Until({"else", "endfor"});
    --loops_;
    if (tokens_.SkipName("else")) {
      EndTag();
      statement.otherwise = Until({"endfor"});
    }
    --scopes_;
    tokens_.ExpectName("endfor");
    EndTag();
  }

  void Set(Statement& statement) {
    statement.target = expressions_.ParseTarget(true);
    if (tokens_.SkipOperator("=")) {
      statement.value = expressions_.ParseTuple(true);
      EndTag();
      return;
    }
    statement.kind = Kind::kSetBlock;
    statement.value = expressions_.ParseFilters(nullptr);
    EndTag();
    statement.body = UntilEnd("endset");
  }

  void Macro(Statement& statement) {
    // Its body sees the variables of the whole template; those of a loop or a macro around it would
    // be gone when it runs.
    if (scopes_ > 0)
      tokens_.FailUnknown("a macro inside of a loop, a macro or {% with %} is not known");
    statement.text = tokens_.TakeName();
    statement.parameters = Parameters(/*needs_values=*/false);
    EndTag();
    ++scopes_;
    const std::uint32_t loops = std::exchange(loops_, 0);
    statement.body = UntilEnd("endmacro");
    loops_ = loops;
    --scopes_;
  }

  std::vector<Parameter> Parameters(bool needs_values) {
    std::vector<Parameter> parameters;
    const bool in_brackets = !needs_values;
    if (in_brackets) tokens_.ExpectOperator("(");
    while (!tokens_.failed() && !tokens_.IsOperator(")") && !tokens_.Is(Token::Kind::kBlockEnd)) {
      Parameter parameter;
      parameter.name = tokens_.TakeName();
      if (tokens_.SkipOperator("=")) {
        parameter.value = expressions_.Parse();
      } else if (needs_values) {
        tokens_.ExpectOperator("=");
      } else if (!parameters.empty() && parameters.back().value != nullptr) {
        tokens_.Fail("the parameter '", parameter.name,
                     "' without a default stands behind one with a default");
      }
      parameters.push_back(std::move(parameter));
      if (!tokens_.SkipOperator(",")) break;
    }
    if (in_brackets) tokens_.ExpectOperator(")");
    return parameters;
  }

  void With(Statement& statement) {
    statement.parameters = Parameters(/*needs_values=*/true);
    EndTag();
    ++scopes_;
    statement.body = UntilEnd("endwith");
    --scopes_;
  }

  void Filter(Statement& statement) {
    statement.value = expressions_.ParseFilterBlock();
    EndTag();
    statement.body = UntilEnd("endfilter");
  }

  void Leave(Statement& statement) {
    if (loops_ == 0)
      tokens_.Fail(statement.kind == Kind::kBreak ? "break" : "continue",
                   " stands outside of a loop");
    EndTag();
  }

  void Generation(Statement& statement) {
    EndTag();
    statement.body = UntilEnd("endgeneration");
  }

  TokenReader tokens_;
  ExpressionParser expressions_;
  std::uint32_t depth_ = 0;
  std::uint32_t loops_ = 0;   // around the current statement, in the same macro
  std::uint32_t scopes_ = 0;  // loops, macros and withs around it
};

}  // namespace

std::string TokenReader::Describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kEnd:
      return "the end of the template";
    case Token::Kind::kBlockEnd:
    case Token::Kind::kPrintEnd:
      return "the end of the tag";
    case Token::Kind::kText:
    case Token::Kind::kBlockBegin:
    case Token::Kind::kPrintBegin:
      return "the next tag";
    default:
      return files::Quote(token.text);
  }
}

Result<Body> ParseTemplate(std::string_view source) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace bramble::model::text::jinja
