//! The options in the brackets of `#[audit_span(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, Lit, LitStr, Path, Result, Token, parenthesized, token};

use crate::events;

const ACCEPTED: &str = "accepted: `agent = …`, `action = …`, `event = …`, `logger = …`, \
    `capture_args`, `capture_args(name, …)`, `capture_result`, `replay`, `skip(name, …)`, \
    `recoverable`, `recoverable = …`, `crate = …`";

/// The options, as written.
#[derive(Default)]
pub(crate) struct AuditSpanOptions {
    pub(crate) agent: Option<Expr>,
    pub(crate) action: Option<Expr>,
    pub(crate) event: Option<EventOption>,
    pub(crate) logger: Option<Expr>,
    pub(crate) capture_args: Option<CapturedArguments>,
    pub(crate) capture_result: bool,
    /// A replay may answer in place of the function.
    pub(crate) replay: bool,
    pub(crate) skip: Vec<Ident>,
    pub(crate) recoverable: Option<Recoverable>,
    pub(crate) library: Option<Path>,
}

pub(crate) enum CapturedArguments {
    All,
    Named(Vec<Ident>),
}

pub(crate) enum Recoverable {
    Always(bool),
    /// A function that takes the error.
    Asked(Expr),
}

/// The type of the one event at the end.
pub(crate) enum EventOption {
    /// The variant of `EventType`.
    Known(&'static str, Span),
    Custom(LitStr),
    Expression(Expr),
}

impl AuditSpanOptions {
    /// Returns the path of the library.
    pub(crate) fn library_path(&self) -> TokenStream {
        self.library.as_ref().map_or_else(|| quote!(::llm_audit), ToTokens::to_token_stream)
    }
}

impl Parse for AuditSpanOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            if seen.contains(&name) {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            options.parse_option(&name, input)?;
            seen.push(name);
            if !input.is_empty() && !input.peek(Token![,]) {
                return Err(input.error(format!("expected a comma; {ACCEPTED}")));
            }
            input.parse::<Option<Token![,]>>()?;
        }
        if options.agent.is_none() {
            let message =
                "`agent` is missing: it names who runs this step, as in `agent = \"benefits\"`";
            return Err(Error::new(Span::call_site(), message));
        }
        if options.replay {
            // A replay compares the arguments, and returns the result.
            options.capture_result = true;
            options.capture_args.get_or_insert(CapturedArguments::All);
        }
        Ok(options)
    }
}

impl AuditSpanOptions {
    /// Reads the text after the name of an option.
    fn parse_option(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.to_string().as_str() {
            "agent" => self.agent = Some(parse_option_value(name, input)?),
            "action" => self.action = Some(parse_option_value(name, input)?),
            "event" => self.event = Some(parse_event_option(parse_option_value(name, input)?)?),
            "logger" => self.logger = Some(parse_option_value(name, input)?),
            "capture_args" => self.capture_args = Some(parse_capture_args(input)?),
            "capture_result" => self.capture_result = true,
            "replay" => self.replay = true,
            "skip" => self.skip = parse_argument_names(name, input)?,
            "recoverable" => self.recoverable = Some(parse_recoverable(name, input)?),
            "crate" => self.library = Some(parse_library_path(parse_option_value(name, input)?)?),
            _ => {
                let message = format!("unknown option `{name}`; {ACCEPTED}");
                return Err(Error::new(name.span(), message));
            }
        }
        Ok(())
    }
}

/// Reads `= …`.
fn parse_option_value(name: &Ident, input: ParseStream<'_>) -> Result<Expr> {
    if !input.peek(Token![=]) {
        let message = format!("`{name}` needs a value: `{name} = …`");
        return Err(Error::new(name.span(), message));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

/// Reads `(a, b)`; refuses a name that occurs twice.
fn parse_argument_names(name: &Ident, input: ParseStream<'_>) -> Result<Vec<Ident>> {
    if !input.peek(token::Paren) {
        let message = format!("`{name}` needs the names of arguments: `{name}(a, b)`");
        return Err(Error::new(name.span(), message));
    }
    let list;
    parenthesized!(list in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&list, Ident::parse_any)?;
    let names: Vec<Ident> = names.into_iter().collect();
    for (at, one) in names.iter().enumerate() {
        if names[..at].contains(one) {
            return Err(Error::new(one.span(), format!("`{one}` is named twice")));
        }
    }
    Ok(names)
}

fn parse_capture_args(input: ParseStream<'_>) -> Result<CapturedArguments> {
    if !input.peek(token::Paren) {
        return Ok(CapturedArguments::All);
    }
    parse_argument_names(&Ident::new("capture_args", Span::call_site()), input)
        .map(CapturedArguments::Named)
}

fn parse_recoverable(name: &Ident, input: ParseStream<'_>) -> Result<Recoverable> {
    if !input.peek(Token![=]) {
        return Ok(Recoverable::Always(true));
    }
    Ok(match parse_option_value(name, input)? {
        Expr::Lit(literal) => match literal.lit {
            Lit::Bool(always) => Recoverable::Always(always.value),
            other => {
                let message = "accepted: `true`, `false`, a function from `&E` to `bool`";
                return Err(Error::new(other.span(), message));
            }
        },
        function => Recoverable::Asked(function),
    })
}

fn parse_event_option(given: Expr) -> Result<EventOption> {
    let Expr::Lit(literal) = &given else { return Ok(EventOption::Expression(given)) };
    let Lit::Str(name) = &literal.lit else {
        return Err(Error::new(literal.lit.span(), events::accepted_event_names()));
    };
    let text = name.value();
    if let Some((_, variant)) = events::TYPES.iter().find(|(known, _)| *known == text) {
        return Ok(EventOption::Known(variant, name.span()));
    }
    if events::is_custom_event_name(&text) {
        return Ok(EventOption::Custom(name.clone()));
    }
    let message = format!("`{text}` is not a type of an event; {}", events::accepted_event_names());
    Err(Error::new(name.span(), message))
}

/// Reads a path, or a path as a string.
fn parse_library_path(given: Expr) -> Result<Path> {
    match given {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        Expr::Lit(literal) => match literal.lit {
            Lit::Str(path) => path.parse_with(Path::parse_mod_style),
            other => Err(Error::new(other.span(), "accepted: the path of llm-audit")),
        },
        other => Err(Error::new_spanned(other, "accepted: the path of llm-audit")),
    }
}
