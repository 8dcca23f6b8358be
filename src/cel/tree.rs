//! A checked expression, ready to be evaluated. Part of the CEL engine; only the checker
//! makes it.

use super::library::Function;
use super::library::pattern::Pattern;

/// One node, and where it stands in the text: byte offset.
#[derive(Debug)]
pub(super) struct Node {
    pub at: u32,
    pub step: Step,
}

impl Node {
    /// Whether this node, or any below it, is such a one.
    pub(super) fn any(&self, is: &dyn Fn(&Step) -> bool) -> bool {
        is(&self.step)
            || match &self.step {
                Step::Constant(_) | Step::Variable(_) | Step::Local(_) => false,
                Step::Field { of, .. } | Step::Has { of, .. } => of.any(is),
                Step::Index { of, index, .. } => of.any(is) || index.any(is),
                Step::And(a, b) | Step::Or(a, b) => a.any(is) || b.any(is),
                Step::Choice(parts) => parts.iter().any(|part| part.any(is)),
                Step::List(elements) => elements.iter().any(|element| element.value.any(is)),
                Step::Map(entries) => entries
                    .iter()
                    .any(|entry| entry.key.any(is) || entry.value.any(is)),
                Step::Call { arguments, .. } => arguments.iter().any(|part| part.any(is)),
                Step::Each(each) => {
                    each.over.any(is)
                        || each.filter.as_ref().is_some_and(|filter| filter.any(is))
                        || each.body.any(is)
                }
                Step::OptionalMap(map) => map.over.any(is) || map.body.any(is),
            }
    }
}

#[derive(Debug)]
pub(super) enum Step {
    Constant(Constant),
    /// A variable of the environment.
    Variable(Box<str>),
    /// A variable of a macro: its place on the stack.
    Local(usize),
    /// `of.name`, or `of.?name`.
    Field {
        of: Box<Node>,
        name: Box<str>,
        optional: bool,
    },
    /// `has(of.name)`; of a record, which has all its fields: whether it is not empty.
    Has {
        of: Box<Node>,
        name: Box<str>,
        filled: bool,
    },
    /// `of[index]`, or `of[?index]`.
    Index {
        of: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// `if ? then : otherwise`.
    Choice(Box<[Node; 3]>),
    List(Box<[Element]>),
    Map(Box<[Entry]>),
    Call {
        function: &'static Function,
        arguments: Box<[Node]>,
        /// The regular expression, where the argument that holds it is a literal.
        pattern: Option<Pattern>,
    },
    Each(Box<Each>),
    OptionalMap(Box<OptionalMap>),
}

#[derive(Debug)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Bytes(Box<[u8]>),
    Type(&'static str),
}

/// An element of a list literal; an optional one is left out if it is none.
#[derive(Debug)]
pub(super) struct Element {
    pub value: Node,
    pub optional: bool,
}

/// An entry of a map literal.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: Node,
    pub value: Node,
    pub optional: bool,
}

/// A macro that walks a list or a map.
#[derive(Debug)]
pub(super) struct Each {
    pub over: Node,
    pub what: What,
    /// Two variables: index or key, and value. Otherwise one: the element or the key.
    pub two: bool,
    /// Which elements are taken.
    pub filter: Option<Node>,
    /// What is asked or made of each.
    pub body: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    All,
    Exists,
    ExistsOne,
    Filter,
    List,
    Map,
    Entries,
    SortBy,
}

/// `optMap` and `optFlatMap`.
#[derive(Debug)]
pub(super) struct OptionalMap {
    pub over: Node,
    pub body: Node,
    pub flat: bool,
}
