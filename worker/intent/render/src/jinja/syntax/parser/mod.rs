//! The grammar of Jinja2 with its extensions `do` and `loopcontrols`.

use lockstep_protocol::SmolStr;
use std::sync::Arc;

mod expressions;
mod macros;
mod statements;

use super::lexer::{Token, tokens};
use super::scopes::Scopes;
use super::tree::{Block, Body, Node, NodeKind, Target, Template, Unit};
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
pub(crate) fn parse(path: &SmolStr, source: &str) -> Res<Template> {
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
        path: path.clone(),
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

    fn expect_name(&mut self) -> Res<SmolStr> {
        if let Token::Name(name) = self.peek() {
            let name = name.clone();
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

    /// A name that is set in the current scope.
    fn declare(&mut self, name: SmolStr) -> Target {
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

    fn use_name(&mut self, name: SmolStr) -> u32 {
        if &*name == "loop" {
            self.loop_uses += 1;
        }
        self.scopes.use_name(name)
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
