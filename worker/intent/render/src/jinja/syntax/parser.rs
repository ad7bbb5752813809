//! The grammar of Jinja2 with its extensions `do` and `loopcontrols`.

use std::sync::Arc;

use super::lexer::{Token, tokens};
use super::scopes::Scopes;
use super::tree::{
    Arguments, Block, Body, Call, Comparison, Const, Expr, FilterCall, For, Macro, Node, NodeKind, Operator,
    Target, Template, TestCall, Unit,
};
use crate::jinja::builtins;
use crate::jinja::failure::{Res, fail};

/// How deep expressions and statements may be nested.
const MAX_DEPTH: usize = 100;

/// How many operators, filters and subscripts may follow each other in an expression.
const MAX_TERMS: usize = 500;

/// How many variables a template or macro may have beside those of its first level.
const MAX_SLOTS: usize = 60_000;

/// Parses a template.
///
/// # Errors
/// It is wrong; the failure says where.
pub(crate) fn parse(path: &Arc<str>, source: &str) -> Res<Template> {
    let tokens = tokens(source).map_err(|(failure, line)| failure.at(path, line))?;
    let mut parser = Parser {
        tokens,
        position: 0,
        scopes: Scopes::new(),
        blocks: Vec::new(),
        depth: 0,
        terms: 0,
        tag_line: 1,
        loops: 0,
        loop_uses: 0,
    };
    let parsed = parser.statements(&[]);
    let body = parsed.map_err(|failure| failure.at(path, parser.line()))?;
    let (names, views) = parser.scopes.resolve();
    Ok(Template {
        path: Arc::clone(path),
        root: Unit {
            body,
            slots: parser.scopes.slots(),
        },
        blocks: parser.blocks,
        names,
        views,
    })
}

struct Parser {
    tokens: Vec<(Token, u32)>,
    position: usize,
    scopes: Scopes,
    blocks: Vec<Arc<Block>>,
    depth: usize,
    /// How many terms the current path through an expression has.
    terms: usize,
    /// The line of the last tag of a statement.
    tag_line: u32,
    /// How many loops are around.
    loops: usize,
    /// How often something was parsed that may use the variable `loop`.
    loop_uses: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.position)
            .map_or(&Token::End, |(token, _)| token)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens
            .get(self.position + ahead)
            .map_or(&Token::End, |(token, _)| token)
    }

    fn line(&self) -> u32 {
        let token = self.tokens.get(self.position).or(self.tokens.last());
        token.map_or(1, |(_, line)| *line)
    }

    fn next(&mut self) -> Token {
        let token = self.tokens.get(self.position);
        self.position += 1;
        token.map_or(Token::End, |(token, _)| token.clone())
    }

    fn skip_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.position += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.position += usize::from(found);
        found
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if **found == *name)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn expect_sign(&mut self, sign: &str) -> Res<()> {
        if self.skip_sign(sign) {
            return Ok(());
        }
        fail!("unexpected {}, expected `{sign}`", describe(self.peek()));
    }

    fn expect_name(&mut self) -> Res<Arc<str>> {
        if let Token::Name(name) = self.peek() {
            let name = Arc::clone(name);
            self.position += 1;
            return Ok(name);
        }
        fail!("unexpected {}, expected a name", describe(self.peek()));
    }

    fn expect(&mut self, token: &Token) -> Res<()> {
        if self.peek() == token {
            self.position += 1;
            return Ok(());
        }
        fail!(
            "unexpected {}, expected {}",
            describe(self.peek()),
            describe(token)
        );
    }

    /// Counts what makes an expression deeper to the left, as it is evaluated recursively.
    fn count_term(&mut self) -> Res<()> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            fail!("an expression has more than {MAX_TERMS} terms");
        }
        Ok(())
    }

    /// Runs a parser one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        if self.depth >= MAX_DEPTH {
            fail!("it is nested more than {MAX_DEPTH} deep");
        }
        self.depth += 1;
        let parsed = stacker::maybe_grow(256 << 10, 2 << 20, || parse(self));
        self.depth -= 1;
        parsed
    }

    /// The statements up to one of the tags, whose beginning is passed, or to the end of the template.
    fn statements(&mut self, ends: &[&str]) -> Res<Vec<Node>> {
        let opened = self.tag_line;
        let mut nodes = Vec::new();
        loop {
            let line = self.line();
            self.terms = 0;
            let kind = match self.next() {
                Token::Data(data) => NodeKind::Text(data),
                Token::VariableBegin => {
                    let expression = self.tuple(false)?;
                    self.expect(&Token::VariableEnd)?;
                    NodeKind::Emit(expression)
                }
                Token::BlockBegin => {
                    self.tag_line = line;
                    if let Token::Name(name) = self.peek()
                        && ends.contains(&&**name)
                    {
                        return Ok(nodes);
                    }
                    let kind = self.deeper(Self::statement)?;
                    self.expect(&Token::BlockEnd)?;
                    kind
                }
                _ if ends.is_empty() => return Ok(nodes),
                _ => fail!(
                    "the block that begins in line {opened} is not closed: `{{% {} %}}` is missing",
                    ends[ends.len() - 1]
                ),
            };
            nodes.push(Node { line, kind });
        }
    }

    /// The statements of a block up to its end tag, whose name is passed.
    fn block_body(&mut self, end: &str) -> Res<Vec<Node>> {
        self.expect(&Token::BlockEnd)?;
        let nodes = self.statements(&[end])?;
        self.position += 1;
        Ok(nodes)
    }

    /// The body of a scope.
    fn scoped_body(&mut self, end: &str, first_slot: usize) -> Res<Body> {
        let nodes = self.block_body(end)?;
        self.body(nodes, first_slot)
    }

    fn body(&mut self, nodes: Vec<Node>, first_slot: usize) -> Res<Body> {
        let slots = first_slot..self.scopes.slots();
        if slots.end > MAX_SLOTS {
            fail!("it has more than {MAX_SLOTS} variables");
        }
        Ok(Body { nodes, slots })
    }

    fn statement(&mut self) -> Res<NodeKind> {
        let name = self.expect_name()?;
        match &*name {
            "for" => self.for_loop(),
            "if" => self.condition(),
            "set" => self.set(),
            "macro" => self.macro_declaration(),
            "call" => self.call_block(),
            "filter" => {
                let first = self.scopes.slots();
                let outer = self.scopes.begin();
                let captured = self.scopes.slot();
                let filter = self.filter_chain(Expr::Slot(captured))?;
                let body = self.scoped_body("endfilter", first)?;
                self.scopes.end(outer);
                Ok(NodeKind::FilterBlock(body, captured, filter))
            }
            "with" => self.with(),
            "block" => self.block(),
            "extends" => {
                if !self.scopes.is_root() {
                    fail!("`extends` belongs to the first level of a template");
                }
                Ok(NodeKind::Extends(self.expression()?))
            }
            "include" => {
                let name = self.expression()?;
                let ignore_missing = self.is_name("ignore")
                    && matches!(self.peek_at(1), Token::Name(next) if **next == *"missing");
                if ignore_missing {
                    self.position += 2;
                }
                Ok(NodeKind::Include {
                    name,
                    ignore_missing,
                    view: self.import_context(true),
                })
            }
            "import" => {
                let name = self.expression()?;
                if !self.skip_name("as") {
                    fail!("unexpected {}, expected `as`", describe(self.peek()));
                }
                let target = self.assigned_name()?;
                let view = self.import_context(false);
                Ok(NodeKind::Import { name, target, view })
            }
            "from" => self.import_names(),
            "do" => Ok(NodeKind::Do(self.tuple(false)?)),
            "print" => Ok(NodeKind::Emit(self.tuple(false)?)),
            "break" | "continue" => {
                if self.loops == 0 {
                    fail!("`{name}` belongs into a loop");
                }
                Ok(if &*name == "break" {
                    NodeKind::Break
                } else {
                    NodeKind::Continue
                })
            }
            "autoescape" | "trans" | "debug" => {
                fail!("`{name}` is not supported: configurations are no HTML and have no translations")
            }
            _ => fail!("unknown tag `{name}`"),
        }
    }

    fn for_loop(&mut self) -> Res<NodeKind> {
        let target_at = self.position;
        // The target has its place in the scope of the body, which begins after what is iterated.
        let outer = self.scopes.begin();
        self.target(true)?;
        self.scopes.end(outer);
        if !self.skip_name("in") {
            fail!("unexpected {}, expected `in`", describe(self.peek()));
        }
        let over = self.tuple(true)?;
        let after = self.position;
        let filter = if self.is_name("if") {
            let outer = self.scopes.begin();
            let target = self.reparse_target(target_at, after)?;
            self.position += 1;
            let condition = self.expression()?;
            self.scopes.end(outer);
            Some((target, condition))
        } else {
            None
        };
        let recursive = self.skip_name("recursive");
        let after = self.position;

        let uses = self.loop_uses;
        self.loops += 1;
        let first = self.scopes.slots();
        let outer = self.scopes.begin();
        let loop_slot = self.scopes.declare(&"loop".into());
        let target = self.reparse_target(target_at, after)?;
        self.expect(&Token::BlockEnd)?;
        let nodes = self.statements(&["endfor", "else"])?;
        let body = self.body(nodes, first)?;
        self.scopes.end(outer);
        self.loops -= 1;
        let uses_loop = recursive || self.loop_uses > uses;

        let first = self.scopes.slots();
        let outer = self.scopes.begin();
        let otherwise = if self.skip_name("else") {
            self.scoped_body("endfor", first)?
        } else {
            self.position += 1;
            self.body(Vec::new(), first)?
        };
        self.scopes.end(outer);
        Ok(NodeKind::For(Arc::new(For {
            target,
            over,
            filter,
            body,
            otherwise,
            recursive,
            loop_slot: uses_loop.then_some(loop_slot),
        })))
    }

    /// The target of a loop once more, in the current scope.
    fn reparse_target(&mut self, at: usize, after: usize) -> Res<Target> {
        self.position = at;
        let target = self.target(true)?;
        self.position = after;
        Ok(target)
    }

    fn condition(&mut self) -> Res<NodeKind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple(true)?;
            self.expect(&Token::BlockEnd)?;
            branches.push((condition, self.statements(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            let otherwise = if self.skip_name("else") {
                self.block_body("endif")?
            } else {
                self.position += 1;
                Vec::new()
            };
            return Ok(NodeKind::If(branches, otherwise));
        }
    }

    fn set(&mut self) -> Res<NodeKind> {
        let start = self.position;
        // The value is evaluated before the variable is there.
        let target = self.target(false)?;
        if self.skip_sign("=") {
            return Ok(NodeKind::Set(target, self.tuple(false)?));
        }
        if let Target::Unpack(_) = target {
            self.position = start;
            fail!("a block sets one variable");
        }
        let first = self.scopes.slots();
        let outer = self.scopes.begin();
        let captured = self.scopes.slot();
        let filter = if self.is_sign("|") {
            self.filters(Expr::Slot(captured))?
        } else {
            Expr::Slot(captured)
        };
        let body = self.scoped_body("endset", first)?;
        self.scopes.end(outer);
        Ok(NodeKind::SetBlock(target, body, captured, filter))
    }

    fn with(&mut self) -> Res<NodeKind> {
        let mut assigned = Vec::new();
        let first = self.scopes.slots();
        let mut values = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !values.is_empty() {
                self.expect_sign(",")?;
            }
            let at = self.position;
            let outer = self.scopes.begin();
            self.target(true)?;
            self.scopes.end(outer);
            self.expect_sign("=")?;
            values.push((at, self.expression()?));
        }
        let after = self.position;
        let outer = self.scopes.begin();
        for (at, value) in values {
            assigned.push((self.reparse_target(at, after)?, value));
        }
        let body = self.scoped_body("endwith", first)?;
        self.scopes.end(outer);
        Ok(NodeKind::With(assigned, body))
    }

    fn block(&mut self) -> Res<NodeKind> {
        let name = self.expect_name()?;
        if self.blocks.iter().any(|block| block.name == name) {
            fail!("the block `{name}` is there twice");
        }
        if self.is_sign("-") {
            fail!("names of blocks have no `-`; use `_`");
        }
        let mut is_scoped = false;
        let mut required = false;
        loop {
            if self.skip_name("scoped") {
                is_scoped = true;
            } else if self.skip_name("required") {
                required = true;
            } else {
                break;
            }
        }
        let view = is_scoped.then(|| {
            self.loop_uses += 1;
            self.scopes.view()
        });
        let loops = std::mem::take(&mut self.loops);
        let loop_uses = self.loop_uses;
        let outer = self.scopes.begin_unit(false);
        // Holds the name against blocks of the same name inside.
        let index = self.blocks.len();
        self.blocks.push(Arc::new(Block {
            name: Arc::clone(&name),
            required,
            unit: Unit {
                body: Vec::new(),
                slots: 0,
            },
        }));
        let body = self.block_body("endblock")?;
        let slots = self.scopes.slots();
        self.scopes.end(outer);
        self.loops = loops;
        self.loop_uses = loop_uses;
        if required
            && body
                .iter()
                .any(|node| !matches!(&node.kind, NodeKind::Text(text) if text.trim().is_empty()))
        {
            fail!("the required block `{name}` may contain nothing but comments and whitespace");
        }
        if let Token::Name(end) = self.peek() {
            if *end != name {
                fail!("`endblock {end}` ends the block `{name}`");
            }
            self.position += 1;
        }
        self.blocks[index] = Arc::new(Block {
            name: Arc::clone(&name),
            required,
            unit: Unit { body, slots },
        });
        Ok(NodeKind::Block(name, view))
    }

    /// The view of an include or import if it is with context.
    fn import_context(&mut self, default: bool) -> Option<u32> {
        let with = self.is_name("with");
        let mut has_context = default;
        if (with || self.is_name("without"))
            && matches!(self.peek_at(1), Token::Name(next) if **next == *"context")
        {
            self.position += 2;
            has_context = with;
        }
        has_context.then(|| self.scopes.view())
    }

    fn import_names(&mut self) -> Res<NodeKind> {
        let name = self.expression()?;
        if !self.skip_name("import") {
            fail!("unexpected {}, expected `import`", describe(self.peek()));
        }
        let mut names = Vec::new();
        loop {
            let is_context = matches!(self.peek(), Token::Name(name) if matches!(&**name, "with" | "without"))
                && matches!(self.peek_at(1), Token::Name(next) if **next == *"context");
            if *self.peek() == Token::BlockEnd || is_context {
                break;
            }
            if !names.is_empty() && !self.skip_sign(",") {
                fail!("unexpected {}, expected `,`", describe(self.peek()));
            }
            if *self.peek() == Token::BlockEnd {
                break;
            }
            let imported = self.expect_name()?;
            if imported.starts_with('_') {
                fail!("`{imported}` cannot be imported: names that begin with `_` are private");
            }
            let target = if self.skip_name("as") {
                self.assigned_name()?
            } else {
                self.declare(Arc::clone(&imported))
            };
            names.push((imported, target));
        }
        if names.is_empty() {
            fail!("`from` needs names to import");
        }
        let view = self.import_context(false);
        Ok(NodeKind::FromImport { name, names, view })
    }

    fn macro_declaration(&mut self) -> Res<NodeKind> {
        let name = self.expect_name()?;
        let target = self.declare(Arc::clone(&name));
        let declaration = self.macro_unit(name, "endmacro")?;
        Ok(NodeKind::Macro(target, Arc::new(declaration)))
    }

    fn call_block(&mut self) -> Res<NodeKind> {
        let start = self.position;
        if self.is_sign("(") {
            // The call comes after the parameters, but is evaluated outside of the scope that they belong to.
            let mut open = 0_usize;
            loop {
                match self.peek() {
                    Token::Sign("(" | "[" | "{") => open += 1,
                    Token::Sign(")" | "]" | "}") => open -= 1,
                    Token::BlockEnd | Token::End => fail!("unexpected end of `call`"),
                    _ => {}
                }
                self.position += 1;
                if open == 0 {
                    break;
                }
            }
        }
        let Expr::Call(call) = self.unary(false)? else {
            fail!("`call` needs the call of a macro");
        };
        let after = self.position;
        self.position = start;
        let caller = self.macro_unit_at("caller".into(), "endcall", Some(after))?;
        Ok(NodeKind::CallBlock(call, Arc::new(caller)))
    }

    fn macro_unit(&mut self, name: Arc<str>, end: &str) -> Res<Macro> {
        self.macro_unit_at(name, end, None)
    }

    /// The parameters and the body of a macro. The body of `call` begins at another place.
    fn macro_unit_at(&mut self, name: Arc<str>, end: &str, body_at: Option<usize>) -> Res<Macro> {
        let loops = std::mem::take(&mut self.loops);
        let names_before = self.scopes.used_names();
        let outer = self.scopes.begin_unit(true);
        let mut parameters = Vec::new();
        if body_at.is_none() || self.is_sign("(") {
            self.expect_sign("(")?;
            while !self.skip_sign(")") {
                if !parameters.is_empty() {
                    self.expect_sign(",")?;
                    if self.skip_sign(")") {
                        break;
                    }
                }
                let parameter = self.expect_name()?;
                let slot = self.scopes.declare(&parameter);
                let default = if self.skip_sign("=") {
                    Some(self.expression()?)
                } else if parameters
                    .iter()
                    .any(|(_, _, default): &(_, _, Option<Expr>)| default.is_some())
                {
                    fail!("the parameter `{parameter}` without a default follows one with a default");
                } else {
                    None
                };
                parameters.push((parameter, slot, default));
            }
        }
        if let Some(at) = body_at {
            self.position = at;
        }
        // Declared at once: what the body sets under these names is another matter only in theory.
        let special: [(&str, Option<u16>); 3] = ["caller", "varargs", "kwargs"].map(|special| {
            let is_parameter = parameters.iter().any(|(name, _, _)| &**name == special);
            (
                special,
                (!is_parameter).then(|| self.scopes.declare(&special.into())),
            )
        });
        let body = self.block_body(end)?;
        let slots = self.scopes.slots();
        if slots > MAX_SLOTS {
            fail!("the macro `{name}` has more than {MAX_SLOTS} variables");
        }
        self.scopes.end(outer);
        self.loops = loops;
        let [caller, varargs, kwargs] =
            special.map(|(name, slot)| slot.filter(|_| self.scopes.is_used_since(names_before, name)));
        Ok(Macro {
            name,
            parameters,
            caller,
            varargs,
            kwargs,
            unit: Unit { body, slots },
        })
    }

    /// A name that is set in the current scope.
    fn declare(&mut self, name: Arc<str>) -> Target {
        if self.scopes.is_root() {
            Target::Global(name)
        } else {
            Target::Local(self.scopes.declare(&name))
        }
    }

    fn assigned_name(&mut self) -> Res<Target> {
        let name = self.expect_name()?;
        if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
            fail!("`{name}` cannot be set");
        }
        Ok(self.declare(name))
    }

    /// What is assigned to: names, perhaps several, perhaps in parentheses. Loops have no attributes as targets.
    fn target(&mut self, names_only: bool) -> Res<Target> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            if self.is_name("in") || matches!(self.peek(), Token::Sign("=" | ")" | "|") | Token::BlockEnd) {
                break;
            }
            if self.skip_sign("(") {
                let target = self.deeper(|parser| parser.target(names_only))?;
                self.expect_sign(")")?;
                targets.push(target);
            } else if !names_only && matches!(self.peek_at(1), Token::Sign(".")) {
                let name = self.expect_name()?;
                let namespace = self.use_name(name);
                self.position += 1;
                targets.push(Target::Attribute(namespace, self.expect_name()?));
            } else {
                targets.push(self.assigned_name()?);
            }
            if !self.skip_sign(",") {
                break;
            }
            is_tuple = true;
        }
        match targets.pop() {
            Some(target) if !is_tuple => Ok(target),
            Some(target) => {
                targets.push(target);
                Ok(Target::Unpack(targets))
            }
            None => fail!("unexpected {}, expected a name to set", describe(self.peek())),
        }
    }

    fn use_name(&mut self, name: Arc<str>) -> u32 {
        if &*name == "loop" {
            self.loop_uses += 1;
        }
        self.scopes.use_name(name)
    }

    /// An expression, or several with commas between. Where a condition may follow, none is part of it.
    fn tuple(&mut self, without_condition: bool) -> Res<Expr> {
        let parse = if without_condition {
            Self::or
        } else {
            Self::conditional
        };
        let first = self.deeper(parse)?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_sign(",") {
            if self.ends_tuple() {
                break;
            }
            items.push(self.deeper(parse)?);
        }
        Ok(Expr::Tuple(items))
    }

    fn ends_tuple(&self) -> bool {
        match self.peek() {
            Token::VariableEnd | Token::BlockEnd | Token::Sign(")") => true,
            Token::Name(name) => matches!(&**name, "if" | "recursive"),
            _ => false,
        }
    }

    fn expression(&mut self) -> Res<Expr> {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Res<Expr> {
        let mut value = self.or()?;
        while self.skip_name("if") {
            let condition = self.or()?;
            let otherwise = if self.skip_name("else") {
                Some(Box::new(self.deeper(Self::conditional)?))
            } else {
                None
            };
            value = Expr::If(Box::new(condition), Box::new(value), otherwise);
        }
        Ok(value)
    }

    fn or(&mut self) -> Res<Expr> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
            self.count_term()?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Res<Expr> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            left = Expr::And(Box::new(left), Box::new(self.not()?));
            self.count_term()?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Res<Expr> {
        if self.skip_name("not") {
            return Ok(Expr::Not(Box::new(self.deeper(Self::not)?)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Res<Expr> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let comparison = match self.peek() {
                Token::Sign("==") => Comparison::Equal,
                Token::Sign("!=") => Comparison::Unequal,
                Token::Sign("<") => Comparison::Less,
                Token::Sign("<=") => Comparison::LessOrEqual,
                Token::Sign(">") => Comparison::Greater,
                Token::Sign(">=") => Comparison::GreaterOrEqual,
                Token::Name(name) if &**name == "in" => Comparison::In,
                Token::Name(name)
                    if &**name == "not"
                        && matches!(self.peek_at(1), Token::Name(next) if **next == *"in") =>
                {
                    self.position += 1;
                    Comparison::NotIn
                }
                _ => break,
            };
            self.position += 1;
            rest.push((comparison, self.sum()?));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Expr::Compare(Box::new(first), rest)
        })
    }

    fn sum(&mut self) -> Res<Expr> {
        let mut left = self.concat()?;
        loop {
            let operator = match self.peek() {
                Token::Sign("+") => Operator::Add,
                Token::Sign("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            self.position += 1;
            left = Expr::Binary(operator, Box::new(left), Box::new(self.concat()?));
            self.count_term()?;
        }
    }

    fn concat(&mut self) -> Res<Expr> {
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_sign("~") {
            parts.push(self.product()?);
        }
        Ok(Expr::Concat(parts))
    }

    fn product(&mut self) -> Res<Expr> {
        let mut left = self.power()?;
        loop {
            let operator = match self.peek() {
                Token::Sign("*") => Operator::Multiply,
                Token::Sign("/") => Operator::Divide,
                Token::Sign("//") => Operator::FloorDivide,
                Token::Sign("%") => Operator::Modulo,
                _ => return Ok(left),
            };
            self.position += 1;
            left = Expr::Binary(operator, Box::new(left), Box::new(self.power()?));
            self.count_term()?;
        }
    }

    fn power(&mut self) -> Res<Expr> {
        let mut left = self.unary(true)?;
        while self.skip_sign("**") {
            left = Expr::Binary(Operator::Power, Box::new(left), Box::new(self.unary(true)?));
            self.count_term()?;
        }
        Ok(left)
    }

    fn unary(&mut self, with_filters: bool) -> Res<Expr> {
        let sign = match self.peek() {
            Token::Sign("-") => Some(Expr::Negative as fn(Box<Expr>) -> Expr),
            Token::Sign("+") => Some(Expr::Positive as fn(Box<Expr>) -> Expr),
            _ => None,
        };
        let value = if let Some(sign) = sign {
            self.position += 1;
            sign(Box::new(self.deeper(|parser| parser.unary(false))?))
        } else {
            let primary = self.primary()?;
            self.postfix(primary)?
        };
        if with_filters {
            self.filters(value)
        } else {
            Ok(value)
        }
    }

    fn primary(&mut self) -> Res<Expr> {
        if let Token::Name(name) = self.peek() {
            let name = Arc::clone(name);
            self.position += 1;
            return Ok(match &*name {
                "true" | "True" => Expr::Const(Const::Bool(true)),
                "false" | "False" => Expr::Const(Const::Bool(false)),
                "none" | "None" => Expr::Const(Const::None),
                _ => Expr::Name(self.use_name(name)),
            });
        }
        match self.peek().clone() {
            Token::Text(mut text) => {
                self.position += 1;
                while let Token::Text(more) = self.peek() {
                    text.push_str(more);
                    self.position += 1;
                }
                Ok(Expr::Const(Const::Text(text.into())))
            }
            Token::Int(number) => {
                self.position += 1;
                Ok(Expr::Const(Const::Int(number)))
            }
            Token::Float(number) => {
                self.position += 1;
                Ok(Expr::Const(Const::Float(number)))
            }
            Token::Sign("(") => {
                self.position += 1;
                if self.skip_sign(")") {
                    return Ok(Expr::Tuple(Vec::new()));
                }
                let value = self.tuple(false)?;
                self.expect_sign(")")?;
                Ok(value)
            }
            Token::Sign("[") => {
                self.position += 1;
                let items = self.list("]", Self::expression)?;
                Ok(Expr::List(items))
            }
            Token::Sign("{") => {
                self.position += 1;
                let entries = self.list("}", |parser| {
                    let key = parser.expression()?;
                    parser.expect_sign(":")?;
                    Ok((key, parser.expression()?))
                })?;
                Ok(Expr::Dict(entries))
            }
            token => fail!("unexpected {}, expected an expression", describe(&token)),
        }
    }

    /// What stands between commas up to the end.
    fn list<T>(&mut self, end: &str, parse: impl Fn(&mut Self) -> Res<T>) -> Res<Vec<T>> {
        let mut items = Vec::new();
        while !self.skip_sign(end) {
            if !items.is_empty() {
                self.expect_sign(",")?;
                if self.skip_sign(end) {
                    break;
                }
            }
            let terms = self.terms;
            items.push(parse(self)?);
            self.terms = terms;
        }
        Ok(items)
    }

    fn postfix(&mut self, mut value: Expr) -> Res<Expr> {
        loop {
            if self.skip_sign(".") {
                value = match self.next() {
                    Token::Name(name) => Expr::Attribute(Box::new(value), name),
                    Token::Int(index) => {
                        Expr::Item(Box::new(value), Box::new(Expr::Const(Const::Int(index))))
                    }
                    token => fail!("unexpected {}, expected a name after `.`", describe(&token)),
                };
            } else if self.skip_sign("[") {
                value = self.subscript(value)?;
            } else if self.is_sign("(") {
                value = self.call(value)?;
            } else {
                return Ok(value);
            }
            self.count_term()?;
        }
    }

    fn subscript(&mut self, value: Expr) -> Res<Expr> {
        let mut parts: [Option<Expr>; 3] = [None, None, None];
        let mut count = 0;
        for (index, part) in parts.iter_mut().enumerate() {
            count = index;
            if !self.is_sign(":") && !self.is_sign("]") {
                *part = Some(self.expression()?);
            }
            if index == 2 || !self.skip_sign(":") {
                break;
            }
        }
        let [start, end, step] = parts;
        if count > 0 {
            self.expect_sign("]")?;
            return Ok(Expr::Slice(Box::new(value), Box::new([start, end, step])));
        }
        let Some(first) = start else {
            fail!("a subscript is empty");
        };
        let mut items = vec![first];
        let is_tuple = self.is_sign(",");
        while self.skip_sign(",") {
            items.push(self.expression()?);
        }
        self.expect_sign("]")?;
        let index = match items.pop() {
            Some(index) if !is_tuple => index,
            last => {
                items.extend(last);
                Expr::Tuple(items)
            }
        };
        Ok(Expr::Item(Box::new(value), Box::new(index)))
    }

    fn call(&mut self, callee: Expr) -> Res<Expr> {
        let line = self.line();
        let arguments = self.arguments()?;
        Ok(Expr::Call(Box::new(Call {
            line,
            callee,
            arguments,
        })))
    }

    fn arguments(&mut self) -> Res<Arguments> {
        self.expect_sign("(")?;
        let mut arguments = Arguments::default();
        let mut is_first = true;
        while !self.skip_sign(")") {
            if !is_first {
                self.expect_sign(",")?;
                if self.skip_sign(")") {
                    break;
                }
            }
            is_first = false;
            let terms = self.terms;
            if self.skip_sign("**") {
                arguments.named_rest = Some(self.expression()?);
            } else if self.skip_sign("*") {
                arguments.rest = Some(self.expression()?);
            } else if matches!(self.peek(), Token::Name(_)) && matches!(self.peek_at(1), Token::Sign("=")) {
                let name = self.expect_name()?;
                self.position += 1;
                if arguments.named.iter().any(|(other, _)| *other == name) {
                    fail!("the argument `{name}` is there twice");
                }
                arguments.named.push((name, self.expression()?));
            } else {
                if !arguments.named.is_empty() || arguments.rest.is_some() || arguments.named_rest.is_some() {
                    fail!("an argument without a name follows one with a name");
                }
                arguments.positional.push(self.expression()?);
            }
            self.terms = terms;
        }
        Ok(arguments)
    }

    /// Filters, tests and calls behind a value.
    fn filters(&mut self, mut value: Expr) -> Res<Expr> {
        loop {
            if self.skip_sign("|") {
                value = self.filter(value)?;
            } else if self.skip_name("is") {
                value = self.test(value)?;
            } else if self.is_sign("(") {
                value = self.call(value)?;
            } else {
                return Ok(value);
            }
            self.count_term()?;
        }
    }

    /// The filters of a filter block: like a chain, but without the first `|`.
    fn filter_chain(&mut self, captured: Expr) -> Res<Expr> {
        let value = self.filter(captured)?;
        self.filters(value)
    }

    fn filter(&mut self, input: Expr) -> Res<Expr> {
        let line = self.line();
        let name = self.dotted_name()?;
        let arguments = if self.is_sign("(") {
            self.arguments()?
        } else {
            Arguments::default()
        };
        Ok(Expr::Filter(Box::new(FilterCall {
            line,
            input,
            filter: builtins::filter(&name),
            name,
            arguments,
        })))
    }

    fn dotted_name(&mut self) -> Res<Arc<str>> {
        let mut name = self.expect_name()?;
        while self.skip_sign(".") {
            name = format!("{name}.{}", self.expect_name()?).into();
        }
        Ok(name)
    }

    fn test(&mut self, input: Expr) -> Res<Expr> {
        let line = self.line();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let arguments = match self.peek() {
            Token::Sign("(") => self.arguments()?,
            Token::Name(next) if matches!(&**next, "else" | "or" | "and" | "is") => Arguments::default(),
            Token::Name(_) | Token::Text(_) | Token::Int(_) | Token::Float(_) | Token::Sign("[" | "{")
                if !self.is_name("if")
                    && !self.is_name("recursive")
                    && !self.is_name("not")
                    && !self.is_name("in") =>
            {
                let argument = self.primary()?;
                Arguments {
                    positional: vec![self.postfix(argument)?],
                    ..Arguments::default()
                }
            }
            _ => Arguments::default(),
        };
        let test = Expr::Test(Box::new(TestCall {
            line,
            input,
            test: builtins::test(&name),
            name,
            arguments,
        }));
        Ok(if negated { Expr::Not(Box::new(test)) } else { test })
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Data(_) => "text".to_owned(),
        Token::VariableBegin => "`{{`".to_owned(),
        Token::VariableEnd => "`}}`".to_owned(),
        Token::BlockBegin => "`{%`".to_owned(),
        Token::BlockEnd => "`%}`".to_owned(),
        Token::Name(name) => format!("`{name}`"),
        Token::Text(text) => format!("{text:?}"),
        Token::Int(number) => number.to_string(),
        Token::Float(number) => number.to_string(),
        Token::Sign(sign) => format!("`{sign}`"),
        Token::End => "end of the template".to_owned(),
    }
}
