//! The expansion of a function under `#[audit_span]`.
//!
//! The signature does not change. The body moves into a closure or an async block, so that `return`
//! and `?` leave that and not the function. The span begins before it and ends after it:
//!
//! ```text
//! let mut span = if off { None } else { Some(begin(head, captured, moved, kept)) };
//! let result = call(&span, move || -> Result<…> { let _ = (&b, &a, &self); body });
//! if let Some(span) = &mut span { … done or failed … }
//! result
//! ```
//!
//! The closure captures the arguments in reverse order, the receiver last. It drops them in that
//! order, as the function would have done.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{
    Block, Error, Expr, ExprAsync, Ident, ItemFn, Result, ReturnType, Signature, Stmt, Type,
    parse_quote_spanned, parse2,
};

use crate::async_block;
use crate::bindings::Bindings;
use crate::manifest;
use crate::options::{AuditSpanOptions, CapturedArguments, EventOption, Recoverable};

pub(crate) fn expand_audit_span(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options: AuditSpanOptions = parse2(arguments)?;
    if let (None, Some(name)) = (&options.library, manifest::other_name_of_library()) {
        return Err(Error::new(Span::call_site(), missing_library_message(name)));
    }
    let mut function: ItemFn = parse2(item).map_err(|error| {
        Error::new(error.span(), "`#[audit_span]` is for a function or a method with a body")
    })?;
    refuse_unrecordable(&function.sig)?;
    let bindings = Bindings::from_signature(&function.sig)?;
    let call = AuditedFunction {
        library: options.library_path(),
        function: &function.sig,
        bindings,
        options,
    };
    call.check_options()?;
    let block = match async_block::trailing_async_block(&function.sig, &function.block) {
        Some((at, output)) => {
            call.expand_returned_future(&function.block, at, &replace_impl_traits(&output))
        }
        None if function.sig.asyncness.is_some() => call.expand_async(&function.block),
        None => call.expand_sync(&function.block),
    };
    *function.block =
        Block { stmts: vec![Stmt::Expr(Expr::Verbatim(block), None)], ..*function.block };
    Ok(quote!(#function))
}

fn missing_library_message(name: &str) -> String {
    let name = name.replace('-', "_");
    format!("`crate` is missing: Cargo.toml names `llm-audit` `{name}`, so add `crate = {name}`")
}

/// Refuses the functions that cannot be recorded.
fn refuse_unrecordable(signature: &Signature) -> Result<()> {
    let refused = if let Some(constant) = &signature.constness {
        Some((constant.span(), "a `const fn` cannot be recorded: it may run in the compiler"))
    } else if let Some(abi) = &signature.abi {
        Some((abi.span(), "an `extern` function cannot be recorded: record what it calls"))
    } else {
        signature
            .variadic
            .as_ref()
            .map(|dots| (dots.span(), "a variadic function cannot be recorded"))
    };
    refused.map_or(Ok(()), |(span, message)| Err(Error::new(span, message)))
}

/// A function and the options of its attribute.
struct AuditedFunction<'f> {
    library: TokenStream,
    function: &'f Signature,
    bindings: Bindings,
    options: AuditSpanOptions,
}

impl AuditedFunction<'_> {
    fn check_options(&self) -> Result<()> {
        self.bindings.check_argument_names(&self.options.skip)?;
        let Some(CapturedArguments::Named(named)) = &self.options.capture_args else {
            return Ok(());
        };
        self.bindings.check_argument_names(named)?;
        match named.iter().find(|name| self.options.skip.contains(name)) {
            Some(both) => Err(Error::new(both.span(), format!("`{both}` is in `skip` too"))),
            None => Ok(()),
        }
    }

    /// Expands a plain function, with its body in a closure.
    fn expand_sync(&self, body: &Block) -> TokenStream {
        let (library, begin, owned) =
            (&self.library, self.expand_begin(), self.expand_owned_arguments());
        let (returned, body) = (closure_return_type(&self.function.output), &body.stmts);
        let call = quote_spanned! {Span::mixed_site()=>
            #library::__span::call(&span, move || -> #returned { #owned #(#body)* })
        };
        let call = self.expand_answer(&call, &returned, &TokenStream::new());
        let end = self.expand_end(&call, &returned);
        quote_spanned! {Span::mixed_site()=> let mut span = #begin; #end }
    }

    /// Expands the call of the body, or in a replay what it returned when it was recorded.
    fn expand_answer(
        &self,
        call: &TokenStream,
        returned: &Type,
        wait: &TokenStream,
    ) -> TokenStream {
        if !self.options.replay || matches!(returned, Type::Never(_)) {
            return call.clone();
        }
        let library = &self.library;
        quote_spanned! {Span::mixed_site()=>
            match #library::__span::replay::answer(&mut span) {
                ::core::option::Option::None => #call,
                ::core::option::Option::Some(answer) => {
                    use #library::__span::replay::PlainReturn as _;
                    #wait
                    #library::__span::replay::Returned::<#returned>::of().audit_span_return(answer)
                }
            }
        }
    }

    /// Expands an async function, with its body in an async block.
    fn expand_async(&self, body: &Block) -> TokenStream {
        let owned = self.expand_owned_arguments();
        let returned = closure_return_type(&self.function.output);
        let capture = Some(syn::token::Move::default());
        self.expand_async_body(capture, &owned, body, &returned)
    }

    /// Expands a function that ends with an async block, boxed or not; that block is recorded.
    fn expand_returned_future(
        &self,
        body: &Block,
        block: &ExprAsync,
        output: &Type,
    ) -> TokenStream {
        let polled =
            self.expand_async_body(block.capture, &TokenStream::new(), &block.block, output);
        let (capture, attrs) = (&block.capture, &block.attrs);
        let future = quote_spanned! {Span::mixed_site()=> #(#attrs)* async #capture { #polled } };
        let mut body = body.clone();
        if let Some(found) = async_block::trailing_async_block_mut(&mut body) {
            *found = Expr::Verbatim(future);
        }
        let statements = body.stmts;
        quote!(#(#statements)*)
    }

    fn expand_async_body(
        &self,
        capture: Option<syn::token::Move>,
        owned: &TokenStream,
        body: &Block,
        returned: &Type,
    ) -> TokenStream {
        // The statements: around the block of a short function, braces would be reported as unused.
        let (library, begin, body) = (&self.library, self.expand_begin(), &body.stmts);
        let known = match returned {
            Type::Never(_) => None,
            _ => Some(quote_spanned! {Span::mixed_site()=>
                if false { return #library::__span::never::<#returned>(); }
            }),
        };
        let run = quote_spanned! {Span::mixed_site()=>
            #library::__span::run(&mut span, async #capture { #owned #known #(#body)* }).await
        };
        // In the span: a call that is dropped while it waits is cancelled.
        let wait = quote_spanned! {Span::mixed_site()=>
            #library::__span::run(&mut span, answer.wait()).await;
        };
        let run = self.expand_answer(&run, returned, &wait);
        let end = self.expand_end(&run, returned);
        quote_spanned! {Span::mixed_site()=> let mut span = #begin; #end }
    }

    /// Captures the whole arguments, in the order in which they must be dropped.
    fn expand_owned_arguments(&self) -> TokenStream {
        let names = self.bindings.0.iter().rev().map(|binding| &binding.name);
        let receiver = self.function.receiver().map(|receiver| &receiver.self_token);
        let receiver = receiver.into_iter();
        quote_spanned! {Span::mixed_site()=> let _ = (#(&#names,)* #(&#receiver,)*); }
    }

    /// Begins the span; the expression is `None` if nothing is recorded.
    fn expand_begin(&self) -> TokenStream {
        let library = &self.library;
        let (head, captured) = (self.expand_head(), self.expand_captured_args());
        let of_snapshot =
            || self.bindings.0.iter().filter(|binding| !self.options.skip.contains(&binding.name));
        let moved =
            of_snapshot().filter(|b| !b.is_copied).map(|b| self.expand_member(&b.name, "value"));
        let kept =
            of_snapshot().filter(|b| b.is_copied).map(|b| self.expand_member(&b.name, "value"));
        let logger = match &self.options.logger {
            Some(logger) => quote_spanned!(Span::mixed_site()=> #library::__span::to(&#logger)),
            None => quote_spanned!(Span::mixed_site()=> #library::__span::process()),
        };
        quote_spanned! {Span::mixed_site()=> {
            use #library::__span::{AnyValue as _, DebugValue as _, SerializeValue as _};
            let logger = #logger;
            if #library::__span::is_off(logger) {
                ::core::option::Option::None
            } else {
                ::core::option::Option::Some(#library::__span::begin(
                    logger,
                    #head,
                    &[#(#captured),*],
                    &[#(#moved),*],
                    move |look: &mut dyn ::core::ops::FnMut(&[#library::__span::Argument<'_>])| {
                        look(&[#(#kept),*])
                    },
                ))
            }
        }}
    }

    fn expand_head(&self) -> TokenStream {
        let library = &self.library;
        let own_name = Expr::Lit(syn::ExprLit {
            attrs: Vec::new(),
            lit: syn::Lit::Str(syn::LitStr::new(
                &name_without_raw_prefix(&self.function.ident),
                Span::mixed_site(),
            )),
        });
        let agent = self.expand_name(self.options.agent.as_ref().unwrap_or(&own_name));
        let action = self.expand_name(self.options.action.as_ref().unwrap_or(&own_name));
        let event = match &self.options.event {
            None => quote_spanned!(Span::mixed_site()=> ::core::option::Option::None),
            Some(event) => {
                let event = match event {
                    EventOption::Known(variant, span) => {
                        let variant = Ident::new(variant, *span);
                        quote_spanned!(Span::mixed_site()=> #library::EventType::#variant)
                    }
                    EventOption::Custom(name) => {
                        quote_spanned!(Span::mixed_site()=> #library::EventType::Custom(#name))
                    }
                    EventOption::Expression(event) => quote!(#event),
                };
                quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some(#event))
            }
        };
        let is_replayable = self.options.replay;
        quote_spanned! {Span::mixed_site()=>
            #library::__span::FunctionHead {
                agent: #agent,
                action: #action,
                event: #event,
                is_replayable: #is_replayable,
                package: (
                    ::core::option_env!("CARGO_PKG_NAME"),
                    ::core::option_env!("CARGO_PKG_VERSION"),
                ),
            }
        }
    }

    /// Expands an agent or an action.
    fn expand_name(&self, given: &Expr) -> TokenStream {
        let library = &self.library;
        match given {
            Expr::Lit(literal) => {
                quote_spanned!(Span::mixed_site()=> ::std::borrow::Cow::Borrowed(#literal))
            }
            computed => quote_spanned!(Span::mixed_site()=> #library::__span::name(&#computed)),
        }
    }

    /// Expands the arguments that `capture_args` selects.
    fn expand_captured_args(&self) -> Vec<TokenStream> {
        match &self.options.capture_args {
            None => Vec::new(),
            Some(CapturedArguments::Named(named)) => {
                named.iter().map(|name| self.expand_member(name, "named_value")).collect()
            }
            Some(CapturedArguments::All) => {
                let names = self.bindings.0.iter().map(|binding| &binding.name);
                let taken = names.filter(|name| !self.options.skip.contains(name));
                taken.map(|name| self.expand_member(name, "value")).collect()
            }
        }
    }

    /// Expands a name and its recorded value; the compiler shows errors at `name`.
    fn expand_member(&self, name: &Ident, method: &str) -> TokenStream {
        let (library, text) = (&self.library, name_without_raw_prefix(name));
        let method = format_ident!("audit_span_{method}", span = name.span());
        quote_spanned! {Span::mixed_site()=>
            (#text, (&&&#library::__span::Pick(&#name)).#method())
        }
    }

    /// Expands the end of the span, before the result is returned.
    fn expand_end(&self, result: &TokenStream, returned: &Type) -> TokenStream {
        if matches!(returned, Type::Never(_)) {
            let unreachable = self.function.asyncness.map(|_| quote!(; ::core::unreachable!()));
            return quote!(#result #unreachable);
        }
        let library = &self.library;
        let recoverable = match &self.options.recoverable {
            None => quote!(::core::option::Option::None),
            Some(Recoverable::Always(always)) => quote!(::core::option::Option::Some(#always)),
            Some(Recoverable::Asked(asked)) => quote_spanned! {Span::mixed_site()=>
                ::core::option::Option::Some(#library::__span::decide(error, #asked))
            },
        };
        let (pattern, recorded) = match self.options.capture_result {
            false => (quote!(_), quote!(::core::option::Option::None)),
            true => (
                quote_spanned!(Span::mixed_site()=> value),
                quote_spanned! {Span::mixed_site()=>
                    value.map(|value| (&&&#library::__span::Pick(value)).audit_span_value())
                },
            ),
        };
        quote_spanned! {Span::mixed_site()=>
            let result = #result;
            if let ::core::option::Option::Some(span) = &mut span {
                use #library::__span::{
                    AnyError as _, AnyValue as _, DebugError as _, DebugValue as _,
                    DisplayError as _, InnerError as _, Plain as _, SerializeValue as _,
                    StandardError as _,
                };
                match #library::__span::Split(&result).audit_span_split() {
                    (_, ::core::option::Option::Some(error)) => span.failed(
                        || (&&&&&#library::__span::Pick(error)).audit_span_detail(),
                        || #recoverable,
                    ),
                    (#pattern, ::core::option::Option::None) => span.done(#recorded),
                }
            }
            result
        }
    }
}

/// Returns the function's return type in a form that a closure may have.
fn closure_return_type(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => parse_quote_spanned!(Span::mixed_site()=> ()),
        ReturnType::Type(_, ty) => replace_impl_traits(ty),
    }
}

/// Replaces every `impl Trait` in a type by `_`.
fn replace_impl_traits(ty: &Type) -> Type {
    struct Infer;
    impl VisitMut for Infer {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if matches!(ty, Type::ImplTrait(_)) {
                *ty = parse_quote_spanned!(Span::mixed_site()=> _);
            } else {
                syn::visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    let mut ty = ty.clone();
    Infer.visit_type_mut(&mut ty);
    ty
}

/// Returns a name without its `r#`.
fn name_without_raw_prefix(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}
