//! `environment`: every setting with its value and its source.

use std::fmt::{Debug, Display};

use llm_audit::Error;
use llm_audit::environment::{Environment, Setting, Source, UnknownVariable, VARIABLES, Variable};

use crate::{Plain, Shared, fields, implement, variants};

fn environment() {
    let _: fn() -> Environment = Environment::read;
}

fields!(Environment { settings: Vec<Setting>, refused: Vec<Error>, unknown: Vec<UnknownVariable> });

implement! {
    Environment: Shared, Debug;
}

fields!(Setting { variable: &'static Variable, value: String, source: Source });

implement! {
    Setting: Plain, Clone, Debug;
}

variants!(Source { Default, Derived, Refused });

fn by_the_environment(source: Source) {
    let _: fn(&'static str) -> Source = Source::Environment;
    if let Source::Environment(name, ..) = source {
        let _: &'static str = name;
    }
}

implement! {
    Source: Plain, Clone, Copy, Debug, PartialEq, Eq;
}

fn variables() -> &'static [Variable] {
    VARIABLES
}

fn variable() {
    let _: fn(&Variable) -> &'static str = Variable::name;
    let _: fn(&Variable) -> &'static str = Variable::group;
    let _: fn(&Variable) -> Option<&'static str> = Variable::fallback;
    let _: fn(&Variable) -> String = Variable::documentation;
    let _: fn(&Variable) -> String = Variable::default_value;
    let _: fn(&Variable) -> String = Variable::accepted;
}

implement! {
    Variable: Plain, Debug;
}

fields!(UnknownVariable { name: String, closest: &'static str });

implement! {
    UnknownVariable: Plain, Clone, Debug, Display, PartialEq, Eq;
}
