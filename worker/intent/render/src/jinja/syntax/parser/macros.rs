use lockstep_protocol::SmolStr;
use std::sync::Arc;

use super::{MAX_SLOTS, Parser};
use crate::jinja::failure::{Res, fail};
use crate::jinja::syntax::lexer::Token;
use crate::jinja::syntax::tree::{Expr, Macro, NodeKind, Unit};

impl Parser {
    pub(super) fn macro_declaration(&mut self) -> Res<NodeKind> {
        let name = self.expect_name()?;
        let target = self.declare(name.clone());
        let declaration = self.macro_unit(name, "endmacro")?;
        Ok(NodeKind::Macro(target, Arc::new(declaration)))
    }

    pub(super) fn call_block(&mut self) -> Res<NodeKind> {
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

    pub(super) fn macro_unit(&mut self, name: SmolStr, end: &str) -> Res<Macro> {
        self.macro_unit_at(name, end, None)
    }

    /// The parameters and the body of a macro. The body of `call` begins at another place.
    pub(super) fn macro_unit_at(&mut self, name: SmolStr, end: &str, body_at: Option<usize>) -> Res<Macro> {
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
}
