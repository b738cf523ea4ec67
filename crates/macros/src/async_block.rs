//! The async block that a function returns.

use syn::visit::Visit;
use syn::{Block, Expr, ExprAsync, ReturnType, Signature, Stmt, Type};

/// Finds the async block that a function ends with, and the type that `Future<Output = …>` names.
///
/// Returns `None` if the function is async itself, or if it does not return such a future.
pub(crate) fn trailing_async_block<'b>(
    function: &Signature,
    body: &'b Block,
) -> Option<(&'b ExprAsync, Type)> {
    let ReturnType::Type(_, ty) = &function.output else { return None };
    if function.asyncness.is_some() {
        return None;
    }
    let mut output = FutureOutput(None);
    output.visit_type(ty);
    Some((body.stmts.last().and_then(async_block_of_stmt)?, output.0?))
}

/// Finds the same block, to replace it.
pub(crate) fn trailing_async_block_mut(body: &mut Block) -> Option<&mut Expr> {
    body.stmts.last_mut().and_then(async_block_of_stmt_mut)
}

/// Finds the type that `Future<Output = …>` names.
struct FutureOutput(Option<Type>);

impl<'ast> Visit<'ast> for FutureOutput {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        if self.0.is_none()
            && segment.ident == "Future"
            && let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments
        {
            self.0 = arguments.args.iter().find_map(|argument| match argument {
                syn::GenericArgument::AssocType(bound) if bound.ident == "Output" => {
                    Some(bound.ty.clone())
                }
                _ => None,
            });
        } else {
            syn::visit::visit_path_segment(self, segment);
        }
    }
}

/// Finds `async { … }` or `Box::pin(async { … })` in the last statement of a block.
fn async_block_of_stmt(last: &Stmt) -> Option<&ExprAsync> {
    let Stmt::Expr(tail, None) = last else { return None };
    let inner = match tail {
        Expr::Call(call) if is_box_pin(&call.func) && call.args.len() == 1 => &call.args[0],
        other => other,
    };
    if let Expr::Async(block) = inner { Some(block) } else { None }
}

/// Finds the block of [`async_block_of_stmt`], to replace it.
fn async_block_of_stmt_mut(last: &mut Stmt) -> Option<&mut Expr> {
    let Stmt::Expr(tail, None) = last else { return None };
    match tail {
        Expr::Call(call) => call.args.first_mut(),
        other => Some(other),
    }
}

fn is_box_pin(function: &Expr) -> bool {
    matches!(function, Expr::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "pin"))
}
