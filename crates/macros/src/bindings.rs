//! The names that a function's arguments are bound to.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Error, FnArg, Ident, Pat, PatIdent, Result, Signature, Type};

/// Types of which a copy is as good as the argument, beside shared references.
const COPIED: [&str; 16] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize",
];

/// A name that an argument is bound to.
pub(crate) struct Binding {
    pub(crate) name: Ident,
    /// A copy of it can be kept until the end.
    pub(crate) is_copied: bool,
}

pub(crate) struct Bindings(pub(crate) Vec<Binding>);

impl Bindings {
    pub(crate) fn of(signature: &Signature) -> Result<Self> {
        let mut all = Vec::new();
        for input in &signature.inputs {
            let (FnArg::Typed(syn::PatType { attrs, .. })
            | FnArg::Receiver(syn::Receiver { attrs, .. })) = input;
            if let Some(cfg) = attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
                let message = "`#[audit_span]` does not know which arguments there will be: put \
                               the `#[cfg]` on two functions";
                return Err(Error::new(cfg.span(), message));
            }
            let FnArg::Typed(argument) = input else { continue };
            match &*argument.pat {
                Pat::Ident(PatIdent { ident, by_ref: None, subpat: None, .. }) => {
                    let is_copied = is_copied(&argument.ty);
                    all.push(Binding { name: ident.clone(), is_copied });
                }
                pattern => {
                    let mut names = Names(Vec::new());
                    names.visit_pat(pattern);
                    let binding = |name| Binding { name, is_copied: false };
                    all.extend(names.0.into_iter().map(binding));
                }
            }
        }
        Ok(Self(all))
    }

    /// That every one of `names` is an argument.
    pub(crate) fn check(&self, names: &[Ident]) -> Result<()> {
        let unknown = |name: &&Ident| !self.0.iter().any(|binding| binding.name == **name);
        let Some(name) = names.iter().find(unknown) else { return Ok(()) };
        let known: Vec<String> =
            self.0.iter().map(|binding| format!("`{}`", binding.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = match *name == "self" {
            true => format!("`self` is never recorded; arguments: {known}"),
            false => format!("no argument is called `{name}`; arguments: {known}"),
        };
        Err(Error::new(name.span(), message))
    }
}

/// The names that a pattern binds.
struct Names(Vec<Ident>);

impl<'ast> Visit<'ast> for Names {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        self.0.push(pattern.ident.clone());
        syn::visit::visit_pat_ident(self, pattern);
    }
}

/// Behind a shared reference nothing changes before the end, but for what is made to: a lock would be
/// locked again, perhaps by who holds it.
fn is_copied(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => {
            reference.mutability.is_none() && !is_changeable(&reference.elem)
        }
        Type::Path(path) => {
            path.path.get_ident().is_some_and(|name| COPIED.iter().any(|copied| name == copied))
        }
        Type::Paren(inner) => is_copied(&inner.elem),
        Type::Group(inner) => is_copied(&inner.elem),
        _ => false,
    }
}

/// Whether a type is named after a cell or a lock, or holds one that can be seen.
fn is_changeable(ty: &Type) -> bool {
    fn has_name(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(name) => {
                let name = name.to_string();
                ["Cell", "Lock", "Mutex", "Atomic"].iter().any(|part| name.contains(part))
            }
            TokenTree::Group(group) => has_name(group.stream()),
            _ => false,
        })
    }
    has_name(ty.to_token_stream())
}
