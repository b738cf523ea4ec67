//! The names that a function's arguments are bound to.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Error, FnArg, Ident, Pat, PatIdent, Result, Signature, Type};

/// The types, besides shared references, of which a copy can be kept until the end.
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
    pub(crate) fn from_signature(signature: &Signature) -> Result<Self> {
        let mut all = Vec::new();
        for input in &signature.inputs {
            let (FnArg::Typed(syn::PatType { attrs, .. })
            | FnArg::Receiver(syn::Receiver { attrs, .. })) = input;
            if let Some(cfg) = attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
                let message = "`#[audit_span]` does not know whether this argument exists: \
                               write two functions and put `#[cfg]` on each";
                return Err(Error::new(cfg.span(), message));
            }
            let FnArg::Typed(argument) = input else { continue };
            match &*argument.pat {
                Pat::Ident(PatIdent { ident, by_ref: None, subpat: None, .. }) => {
                    let is_copied = is_copied_type(&argument.ty);
                    all.push(Binding { name: ident.clone(), is_copied });
                }
                pattern => {
                    let mut names = PatternNames(Vec::new());
                    names.visit_pat(pattern);
                    let binding = |name| Binding { name, is_copied: false };
                    all.extend(names.0.into_iter().map(binding));
                }
            }
        }
        Ok(Self(all))
    }

    /// Checks that every one of `names` is an argument.
    pub(crate) fn check_argument_names(&self, names: &[Ident]) -> Result<()> {
        let unknown = |name: &&Ident| !self.0.iter().any(|binding| binding.name == **name);
        let Some(name) = names.iter().find(unknown) else { return Ok(()) };
        let known: Vec<String> =
            self.0.iter().map(|binding| format!("`{}`", binding.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = match *name == "self" {
            true => format!("`self` is never recorded; arguments: {known}"),
            false => format!("`{name}` is not an argument; arguments: {known}"),
        };
        Err(Error::new(name.span(), message))
    }
}

/// The names that a pattern binds.
struct PatternNames(Vec<Ident>);

impl<'ast> Visit<'ast> for PatternNames {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        self.0.push(pattern.ident.clone());
        syn::visit::visit_pat_ident(self, pattern);
    }
}

/// Reports whether a copy of an argument of this type can be kept until the end.
///
/// The target of a shared reference does not change before the end, unless it is a cell or a lock.
/// To record a lock is to lock it, perhaps on the thread that already holds it.
fn is_copied_type(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => {
            reference.mutability.is_none() && !is_cell_or_lock_type(&reference.elem)
        }
        Type::Path(path) => {
            path.path.get_ident().is_some_and(|name| COPIED.iter().any(|copied| name == copied))
        }
        Type::Paren(inner) => is_copied_type(&inner.elem),
        Type::Group(inner) => is_copied_type(&inner.elem),
        _ => false,
    }
}

/// Reports whether the name of a type, or of one inside it, is that of a cell or a lock.
fn is_cell_or_lock_type(ty: &Type) -> bool {
    fn names_cell_or_lock(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(name) => {
                let name = name.to_string();
                ["Cell", "Lock", "Mutex", "Atomic"].iter().any(|part| name.contains(part))
            }
            TokenTree::Group(group) => names_cell_or_lock(group.stream()),
            _ => false,
        })
    }
    names_cell_or_lock(ty.to_token_stream())
}
