//! The types of imports and exports: compared, and as error messages show them.

use wasmtime::{ExternType, FuncType, Val, ValType};

/// Whether `params` fit the parameters of `ty`. References belong to a store, and never fit.
pub(crate) fn fits(ty: &FuncType, params: &[Val]) -> bool {
    ty.params().len() == params.len()
        && ty.params().zip(params).all(|(ty, value)| {
            matches!(
                (ty, value),
                (ValType::I32, Val::I32(_))
                    | (ValType::I64, Val::I64(_))
                    | (ValType::F32, Val::F32(_))
                    | (ValType::F64, Val::F64(_))
                    | (ValType::V128, Val::V128(_))
            )
        })
}

/// Whether `ty` takes or returns references, which belong to one store.
pub(crate) fn has_references(ty: &FuncType) -> bool {
    ty.params().chain(ty.results()).any(|ty| ty.is_ref())
}

/// A type as error messages show it.
pub(crate) fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => format!("a function of type `{ty}`"),
        ExternType::Global(_) => "a global".to_owned(),
        ExternType::Table(_) => "a table".to_owned(),
        ExternType::Memory(_) => "a memory".to_owned(),
        ExternType::Tag(_) => "a tag".to_owned(),
    }
}
