//! The user, the tenant and the conversation that a request is for, which contexts carry.

use std::fmt;
use std::sync::Arc;

use super::TraceContext;

/// Whom the work is for. An empty text means that it is not known.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    user: Box<str>,
    tenant: Box<str>,
    conversation: Box<str>,
}

/// Contexts are logged, and the id of a user may be a mail address.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[set]")
    }
}

impl TraceContext {
    /// Returns this context for a user. An empty text means that the user is not known.
    ///
    /// Events in the context, and in all spans below it, are recorded and counted for this user, unless they
    /// have a user of their own. Set it once, when a request begins. It stays in this process: no header that is
    /// sent contains it. If the id is personal, such as a mail address, a keyed hash takes its place in the log
    /// (`AUDIT_HASH_USERS`).
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::{AuditEvent, EventType, TraceContext};
    ///
    /// # let seen = llm_audit::testing::capture();
    /// let request = TraceContext::new_trace().with_user("u-1842").with_tenant("acme");
    /// let _scope = request.new_span().enter();
    /// llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "benefits", "plans"));
    /// # let line = &seen.lines()[0];
    /// # assert!(line.contains(r#""data":{"user":"u-1842","tenant":"acme"}"#), "{line}");
    /// ```
    pub fn with_user(self, user: impl Into<Box<str>>) -> Self {
        let user = user.into();
        self.with_identity(|identity| identity.user = user)
    }

    /// Returns this context for a tenant: a customer of the service, such as a company; see
    /// [`with_user`](Self::with_user).
    pub fn with_tenant(self, tenant: impl Into<Box<str>>) -> Self {
        let tenant = tenant.into();
        self.with_identity(|identity| identity.tenant = tenant)
    }

    /// Returns this context for a conversation: the requests of one session of a user, or of one thread of messages;
    /// see [`with_user`](Self::with_user).
    ///
    /// Events are not counted by it. Of a personal id, such as a telephone number, a keyed hash is recorded, too.
    pub fn with_conversation(self, conversation: impl Into<Box<str>>) -> Self {
        let conversation = conversation.into();
        self.with_identity(|identity| identity.conversation = conversation)
    }

    /// Returns the user, if it is known.
    pub fn user(&self) -> Option<&str> {
        self.known(|identity| &identity.user)
    }

    /// Returns the tenant, if it is known.
    pub fn tenant(&self) -> Option<&str> {
        self.known(|identity| &identity.tenant)
    }

    /// Returns the conversation, if it is known.
    pub fn conversation(&self) -> Option<&str> {
        self.known(|identity| &identity.conversation)
    }

    fn known(&self, text: impl FnOnce(&Identity) -> &str) -> Option<&str> {
        self.identity.as_deref().map(text).filter(|text| !text.is_empty())
    }

    /// Returns this context for those whom another one is for.
    #[cfg(feature = "rmcp")]
    pub(crate) fn with_identity_of(mut self, other: &Self) -> Self {
        self.identity = other.identity.clone();
        self
    }

    /// Reports whether a user, a tenant or a conversation was set.
    #[inline]
    pub(crate) fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    /// Returns this context for what is known of a user, a tenant and a conversation. The others stay.
    #[cfg(any(feature = "tower", feature = "tracing"))]
    pub(crate) fn with_known(self, [user, tenant, conversation]: [Option<String>; 3]) -> Self {
        let context = match user {
            Some(user) => self.with_user(user),
            None => self,
        };
        let context = match tenant {
            Some(tenant) => context.with_tenant(tenant),
            None => context,
        };
        match conversation {
            Some(conversation) => context.with_conversation(conversation),
            None => context,
        }
    }

    fn with_identity(mut self, change: impl FnOnce(&mut Identity)) -> Self {
        change(Arc::make_mut(self.identity.get_or_insert_default()));
        self.identity = self.identity.filter(|identity| **identity != Identity::default());
        self
    }
}
