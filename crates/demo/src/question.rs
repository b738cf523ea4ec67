//! A member's question, and the route that it takes.

use crate::nlp::Entities;

/// What a member asks, with the credentials that the request carried.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) case: u64,
    pub(crate) member: String,
    pub(crate) contact: String,
    pub(crate) text: String,
    pub(crate) authorization: Option<String>,
    pub(crate) cookie: Option<String>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Plans,
    Claims,
    Human,
}

impl Route {
    pub(crate) const ALL: [Self; 3] = [Self::Claims, Self::Plans, Self::Human];

    /// Returns the topic with more words; a person if there is none.
    pub(crate) fn from_entities(entities: &Entities) -> Self {
        match (entities.claim_words, entities.plan_words) {
            (0, 0) => Self::Human,
            (claim, plan) if claim >= plan => Self::Claims,
            _ => Self::Plans,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plans => "benefits.plans",
            Self::Claims => "benefits.claims",
            Self::Human => "human.handoff",
        }
    }
}
