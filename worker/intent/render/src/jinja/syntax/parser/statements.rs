use std::sync::Arc;

use super::{Parser, describe};
use crate::jinja::failure::{Res, fail};
use crate::jinja::syntax::lexer::Token;
use crate::jinja::syntax::tree::{Block, Expr, For, NodeKind, Target, Unit};

impl Parser {
    pub(super) fn for_loop(&mut self) -> Res<NodeKind> {
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
    pub(super) fn reparse_target(&mut self, at: usize, after: usize) -> Res<Target> {
        self.position = at;
        let target = self.target(true)?;
        self.position = after;
        Ok(target)
    }

    pub(super) fn condition(&mut self) -> Res<NodeKind> {
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

    pub(super) fn set(&mut self) -> Res<NodeKind> {
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

    pub(super) fn with(&mut self) -> Res<NodeKind> {
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

    pub(super) fn block(&mut self) -> Res<NodeKind> {
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
            name: name.clone(),
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
            name: name.clone(),
            required,
            unit: Unit { body, slots },
        });
        Ok(NodeKind::Block(name, view))
    }

    /// The view of an include or import if it is with context.
    pub(super) fn import_context(&mut self, default: bool) -> Option<u32> {
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

    pub(super) fn import_names(&mut self) -> Res<NodeKind> {
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
                self.declare(imported.clone())
            };
            names.push((imported, target));
        }
        if names.is_empty() {
            fail!("`from` needs names to import");
        }
        let view = self.import_context(false);
        Ok(NodeKind::FromImport { name, names, view })
    }

    pub(super) fn statement(&mut self) -> Res<NodeKind> {
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
}
