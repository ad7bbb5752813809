//! The tree of a parsed template. It is shared by all threads that render it.

use lockstep_protocol::SmolStr;
use std::sync::Arc;

use super::scopes::Name;
use crate::jinja::builtins::{Filter, Test};

/// A parsed template.
pub(crate) struct Template {
    /// Its path from the folder of the templates.
    pub(crate) path: SmolStr,
    pub(crate) root: Unit,
    pub(crate) blocks: Vec<Arc<Block>>,
    /// The names that its expressions use.
    pub(crate) names: Vec<Name>,
    /// The names that are visible at its includes, imports and scoped blocks.
    pub(crate) views: Vec<Vec<Name>>,
}

/// What is rendered with variables of its own: a template, a block, a macro.
pub(crate) struct Unit {
    pub(crate) body: Vec<Node>,
    /// How many variables it has.
    pub(crate) slots: usize,
}

pub(crate) struct Block {
    pub(crate) name: SmolStr,
    pub(crate) required: bool,
    pub(crate) unit: Unit,
}

pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) kind: NodeKind,
}

pub(crate) enum NodeKind {
    Text(String),
    Emit(Expr),
    If(Vec<(Expr, Vec<Node>)>, Vec<Node>),
    For(Arc<For>),
    Macro(Target, Arc<Macro>),
    CallBlock(Box<Call>, Arc<Macro>),
    /// The expression has the captured text in the slot.
    FilterBlock(Body, u16, Expr),
    With(Vec<(Target, Expr)>, Body),
    Set(Target, Expr),
    /// The expression has the captured text in the slot.
    SetBlock(Target, Body, u16, Expr),
    /// With the index of a view if it is scoped.
    Block(SmolStr, Option<u32>),
    Extends(Expr),
    Include {
        name: Expr,
        ignore_missing: bool,
        view: Option<u32>,
    },
    Import {
        name: Expr,
        target: Target,
        view: Option<u32>,
    },
    FromImport {
        name: Expr,
        names: Vec<(SmolStr, Target)>,
        view: Option<u32>,
    },
    Do(Expr),
    Break,
    Continue,
}

/// Statements with variables of their own, which begin unset.
pub(crate) struct Body {
    pub(crate) nodes: Vec<Node>,
    pub(crate) slots: std::ops::Range<usize>,
}

pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) over: Expr,
    /// The condition, with the target as its own variables.
    pub(crate) filter: Option<(Target, Expr)>,
    pub(crate) body: Body,
    pub(crate) otherwise: Body,
    pub(crate) recursive: bool,
    /// Where the variable `loop` is, if something may use it.
    pub(crate) loop_slot: Option<u16>,
}

pub(crate) struct Macro {
    pub(crate) name: SmolStr,
    pub(crate) parameters: Vec<(SmolStr, u16, Option<Expr>)>,
    pub(crate) caller: Option<u16>,
    pub(crate) varargs: Option<u16>,
    pub(crate) kwargs: Option<u16>,
    pub(crate) unit: Unit,
}

pub(crate) enum Target {
    /// A variable of the whole template, which other templates see.
    Global(SmolStr),
    Local(u16),
    Unpack(Vec<Target>),
    /// An attribute of a namespace.
    Attribute(u32, SmolStr),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Const {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(SmolStr),
}

pub(crate) enum Expr {
    Const(Const),
    /// An index into the names of the template.
    Name(u32),
    Slot(u16),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attribute(Box<Expr>, SmolStr),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Call(Box<Call>),
    Filter(Box<FilterCall>),
    Test(Box<TestCall>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Positive(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Expr>,
    pub(crate) named: Vec<(SmolStr, Expr)>,
    /// `*x`
    pub(crate) rest: Option<Expr>,
    /// `**x`
    pub(crate) named_rest: Option<Expr>,
}

pub(crate) struct Call {
    pub(crate) line: u32,
    pub(crate) callee: Expr,
    pub(crate) arguments: Arguments,
}

pub(crate) struct FilterCall {
    pub(crate) line: u32,
    pub(crate) input: Expr,
    pub(crate) name: SmolStr,
    /// One of Jinja2, if it has one of the name.
    pub(crate) filter: Option<Filter>,
    pub(crate) arguments: Arguments,
}

pub(crate) struct TestCall {
    pub(crate) line: u32,
    pub(crate) input: Expr,
    pub(crate) name: SmolStr,
    /// One of Jinja2, if it has one of the name.
    pub(crate) test: Option<Test>,
    pub(crate) arguments: Arguments,
}
