//! What a module says of its functions, outside of its code.

use wasmparser::{
    ConstExpr, ElementItems, ExternalKind, KnownCustom, Name, NameSectionReader, Operator, Parser,
    Payload, TableInit, TypeRef,
};

use crate::calls::is_name;

/// What a module says of its functions, outside of its code.
#[derive(Clone, Debug, Default)]
pub(crate) struct FunctionNames {
    /// Names of exports and of the name section: only those that an allocator's functions have.
    pub(crate) functions: Vec<(String, u32)>,
    /// How many functions are imported.
    pub(crate) imported: u32,
    /// The imported function that starts threads.
    pub(crate) spawn: Option<u32>,
    /// Whether that is exported, in a table, or in a constant.
    pub(crate) spawns_untold: bool,
}

impl FunctionNames {
    /// Reads all but the code.
    ///
    /// What cannot be read is left out: the module is validated in any case.
    pub(crate) fn read(parser: Parser, bytes: &[u8]) -> Self {
        let mut names = Self::default();
        for payload in parser.parse_all(bytes).map_while(Result::ok) {
            match payload {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports().map_while(Result::ok) {
                        if !matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                            continue;
                        }
                        if (import.module, import.name) == ("wasi", "thread-spawn") {
                            names.spawn = Some(names.imported);
                        }
                        names.imported += 1;
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports.into_iter().map_while(Result::ok) {
                        if export.kind == ExternalKind::Func {
                            names.note(export.name, export.index);
                            names.spawns_untold |= names.spawn == Some(export.index);
                        }
                    }
                }
                Payload::GlobalSection(globals) => {
                    for global in globals.into_iter().map_while(Result::ok) {
                        names.look_at(&global.init_expr);
                    }
                }
                Payload::TableSection(tables) => {
                    for table in tables.into_iter().map_while(Result::ok) {
                        if let TableInit::Expr(init) = &table.init {
                            names.look_at(init);
                        }
                    }
                }
                Payload::ElementSection(segments) => {
                    for segment in segments.into_iter().map_while(Result::ok) {
                        names.look_at_items(segment.items);
                    }
                }
                Payload::CustomSection(custom) => {
                    if let KnownCustom::Name(section) = custom.as_known() {
                        names.note_section(section);
                    }
                }
                _ => {}
            }
        }
        names
    }

    fn look_at_items(&mut self, items: ElementItems<'_>) {
        match items {
            ElementItems::Functions(functions) => {
                let mut functions = functions.into_iter().map_while(Result::ok);
                self.spawns_untold |= functions.any(|function| Some(function) == self.spawn);
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions.into_iter().map_while(Result::ok) {
                    self.look_at(&expression);
                }
            }
        }
    }

    fn look_at(&mut self, expression: &ConstExpr<'_>) {
        let operators = expression.get_operators_reader();
        let mut operators = operators.into_iter().map_while(Result::ok);
        let spawn = self.spawn;
        self.spawns_untold |= operators.any(|operator| {
            matches!(operator, Operator::RefFunc { function_index } if Some(function_index) == spawn)
        });
    }

    fn note(&mut self, name: &str, function: u32) {
        if is_name(name) {
            self.functions.push((name.to_owned(), function));
        }
    }

    fn note_section(&mut self, section: NameSectionReader<'_>) {
        // A damaged name section is no reason not to run a module.
        for name in section.into_iter().map_while(Result::ok) {
            if let Name::Function(functions) = name {
                for naming in functions.into_iter().map_while(Result::ok) {
                    self.note(naming.name, naming.index);
                }
            }
        }
    }
}
