use lockstep_protocol::SmolStr;

use super::{Parser, describe};
use crate::jinja::builtins;
use crate::jinja::failure::{Res, fail};
use crate::jinja::syntax::lexer::Token;
use crate::jinja::syntax::tree::{Arguments, Call, Comparison, Const, Expr, FilterCall, Operator, TestCall};

impl Parser {
    /// An expression, or several with commas between. Where a condition may follow, none is part of it.
    pub(super) fn tuple(&mut self, without_condition: bool) -> Res<Expr> {
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

    pub(super) fn ends_tuple(&self) -> bool {
        match self.peek() {
            Token::VariableEnd | Token::BlockEnd | Token::Sign(")") => true,
            Token::Name(name) => matches!(&**name, "if" | "recursive"),
            _ => false,
        }
    }

    pub(super) fn expression(&mut self) -> Res<Expr> {
        self.deeper(Self::conditional)
    }

    pub(super) fn conditional(&mut self) -> Res<Expr> {
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

    pub(super) fn or(&mut self) -> Res<Expr> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
            self.count_term()?;
        }
        Ok(left)
    }

    pub(super) fn and(&mut self) -> Res<Expr> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            left = Expr::And(Box::new(left), Box::new(self.not()?));
            self.count_term()?;
        }
        Ok(left)
    }

    pub(super) fn not(&mut self) -> Res<Expr> {
        if self.skip_name("not") {
            return Ok(Expr::Not(Box::new(self.deeper(Self::not)?)));
        }
        self.compare()
    }

    pub(super) fn compare(&mut self) -> Res<Expr> {
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

    pub(super) fn sum(&mut self) -> Res<Expr> {
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

    pub(super) fn concat(&mut self) -> Res<Expr> {
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

    pub(super) fn product(&mut self) -> Res<Expr> {
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

    pub(super) fn power(&mut self) -> Res<Expr> {
        let mut left = self.unary(true)?;
        while self.skip_sign("**") {
            left = Expr::Binary(Operator::Power, Box::new(left), Box::new(self.unary(true)?));
            self.count_term()?;
        }
        Ok(left)
    }

    pub(super) fn unary(&mut self, with_filters: bool) -> Res<Expr> {
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

    pub(super) fn primary(&mut self) -> Res<Expr> {
        if let Token::Name(name) = self.peek() {
            let name = name.clone();
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
    pub(super) fn list<T>(&mut self, end: &str, parse: impl Fn(&mut Self) -> Res<T>) -> Res<Vec<T>> {
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

    pub(super) fn postfix(&mut self, mut value: Expr) -> Res<Expr> {
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

    pub(super) fn subscript(&mut self, value: Expr) -> Res<Expr> {
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

    pub(super) fn call(&mut self, callee: Expr) -> Res<Expr> {
        let line = self.line();
        let arguments = self.arguments()?;
        Ok(Expr::Call(Box::new(Call {
            line,
            callee,
            arguments,
        })))
    }

    pub(super) fn arguments(&mut self) -> Res<Arguments> {
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
    pub(super) fn filters(&mut self, mut value: Expr) -> Res<Expr> {
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
    pub(super) fn filter_chain(&mut self, captured: Expr) -> Res<Expr> {
        let value = self.filter(captured)?;
        self.filters(value)
    }

    pub(super) fn filter(&mut self, input: Expr) -> Res<Expr> {
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

    pub(super) fn dotted_name(&mut self) -> Res<SmolStr> {
        let mut name = self.expect_name()?;
        while self.skip_sign(".") {
            name = format!("{name}.{}", self.expect_name()?).into();
        }
        Ok(name)
    }

    pub(super) fn test(&mut self, input: Expr) -> Res<Expr> {
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
