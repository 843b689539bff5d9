//! Modules out of a plan: valid ones, mostly, with what the rewrite is for.

use std::borrow::Cow;

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, DataCountSection, DataSection, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstructionSink,
    MemorySection, MemoryType, Module, StartSection, TableSection, TableType, TypeSection, ValType,
};

use crate::input::Input;

/// Names that the rewrite gives itself, and others.
const NAMES: [&str; 6] = [
    "wasi-threads:waits",
    "wasi-threads:start",
    "wasi-threads:memory-0",
    "wasi-threads:memory-1",
    "memory",
    "",
];

struct Plan<'a, 'b> {
    input: &'b mut Input<'a>,
    memories: Vec<MemoryType>,
    segments: u32,
}

/// A module as `input` plans it.
pub(crate) fn module(input: &mut Input<'_>) -> Vec<u8> {
    let memories = (0..input.below(4)).map(|_| memory(input)).collect();
    let segments = input.below(3) as u32;
    let plan = Plan {
        input,
        memories,
        segments,
    };
    plan.module()
}

fn memory(input: &mut Input<'_>) -> MemoryType {
    let flags = input.u8();
    MemoryType {
        minimum: 1,
        maximum: Some(1 + u64::from(flags >> 6)),
        memory64: flags & 1 != 0,
        shared: flags & 2 != 0,
        page_size_log2: (flags & 12 == 12).then_some(0),
    }
}

impl Plan<'_, '_> {
    fn module(mut self) -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types
            .ty()
            .function([ValType::I32, ValType::I32], [ValType::I32]);
        self.custom(&mut module);
        module.section(&types);

        let imported_functions = self.input.below(3) as u32;
        let imported = self.input.below(self.memories.len() + 1);
        if imported_functions > 0 || imported > 0 {
            let mut imports = ImportSection::new();
            for _ in 0..imported_functions {
                imports.import("env", "f", EntityType::Function(0));
            }
            for memory in &self.memories[..imported] {
                imports.import("env", "memory", EntityType::Memory(*memory));
            }
            module.section(&imports);
        }

        let count = match self.input.u8() {
            // Where the count of functions, or an index, needs a byte more.
            0 => 120 + self.input.below(16) as u32,
            few => 1 + u32::from(few % 5),
        };
        let mut functions = FunctionSection::new();
        for index in 0..count {
            functions.function(index % 2);
        }
        module.section(&functions);
        self.custom(&mut module);
        if self.input.u8() & 1 != 0 {
            let mut tables = TableSection::new();
            tables.table(TableType {
                element_type: wasm_encoder::RefType::FUNCREF,
                minimum: 2,
                maximum: None,
                table64: false,
                shared: false,
            });
            module.section(&tables);
        }
        if imported < self.memories.len() {
            let mut defined = MemorySection::new();
            for memory in &self.memories[imported..] {
                defined.memory(*memory);
            }
            module.section(&defined);
        }
        self.exports(&mut module, imported_functions, count);
        let start = self.input.u8();
        if start & 1 != 0 {
            // Every other function has no parameters.
            let function_index = imported_functions + u32::from(start >> 1) % count / 2 * 2;
            module.section(&StartSection { function_index });
        }
        if self.segments > 0 {
            module.section(&DataCountSection {
                count: self.segments,
            });
        }
        let mut code = CodeSection::new();
        for index in 0..count {
            let body = self.body(index);
            code.function(&body);
        }
        module.section(&code);
        self.custom(&mut module);
        self.data(&mut module);
        self.custom(&mut module);
        module.finish()
    }

    fn custom(&mut self, module: &mut Module) {
        if self.input.u8() & 3 == 1 {
            let length = self.input.below(40);
            module.section(&CustomSection {
                name: Cow::Borrowed("kept"),
                data: Cow::Borrowed(self.input.bytes(length)),
            });
        }
    }

    fn exports(&mut self, module: &mut Module, imported: u32, count: u32) {
        let which = self.input.u8();
        let mut exports = ExportSection::new();
        for (bit, name) in NAMES.iter().enumerate() {
            if which >> bit & 1 == 0 {
                continue;
            }
            let choice = self.input.below(256) as u32;
            match self.memories.len() as u32 {
                memories if memories > 0 && choice & 1 == 0 => {
                    exports.export(name, ExportKind::Memory, choice / 2 % memories);
                }
                _ => {
                    exports.export(name, ExportKind::Func, choice / 2 % (imported + count));
                }
            }
        }
        if which != 0 {
            module.section(&exports);
        }
    }

    fn data(&mut self, module: &mut Module) {
        if self.segments == 0 {
            return;
        }
        let mut data = DataSection::new();
        for _ in 0..self.segments {
            match self.memories.first() {
                Some(memory) if self.input.u8() & 1 != 0 => {
                    let at = match memory.memory64 {
                        true => ConstExpr::i64_const(3),
                        false => ConstExpr::i32_const(3),
                    };
                    data.active(0, &at, *b"active");
                }
                _ => {
                    data.passive(*b"passive");
                }
            }
        }
        module.section(&data);
    }

    fn body(&mut self, index: u32) -> Function {
        let mut function = Function::new([(1, ValType::I64)]);
        let mut depth = 0;
        for _ in 0..self.input.below(6) {
            let choice = self.input.below(14);
            match choice {
                0 if depth < 3 => {
                    function.instructions().block(BlockType::Empty);
                    depth += 1;
                }
                1 if depth < 3 => {
                    function.instructions().loop_(BlockType::Empty);
                    depth += 1;
                }
                2 if depth > 0 => {
                    function.instructions().end();
                    depth -= 1;
                }
                3 => {
                    function.instructions().nop();
                }
                _ if !self.memories.is_empty() => self.statement(&mut function, choice),
                _ => {}
            }
        }
        for _ in 0..depth {
            function.instructions().end();
        }
        if index % 2 == 1 {
            function.instructions().i32_const(1);
        }
        function.instructions().end();
        function
    }

    /// An instruction that is rewritten, with operands that it takes.
    fn statement(&mut self, function: &mut Function, choice: usize) {
        let memory = self.input.below(self.memories.len());
        let other = self.input.below(self.memories.len());
        let (wide, other_wide) = (
            self.memories[memory].memory64,
            self.memories[other].memory64,
        );
        let (memory, other) = (memory as u64, other as u64);
        self.number(function, wide);
        match choice {
            4 => {
                self.number(function, false);
                self.number(function, wide);
                self.raw(function, &[0xfc], &[0x0b, memory]);
            }
            5 => {
                self.number(function, other_wide);
                self.number(function, wide && other_wide);
                self.raw(function, &[0xfc], &[0x0a, memory, other]);
            }
            6 if self.segments > 0 => {
                self.number(function, false);
                self.number(function, false);
                let segment = self.input.below(self.segments as usize) as u64;
                self.raw(function, &[0xfc], &[0x08, segment, memory]);
            }
            10.. => self.access(function, choice, wide, memory),
            _ => {
                let code = (choice % 3) as u64;
                self.number(function, code == 2);
                if code > 0 {
                    self.number(function, true);
                }
                let align = if code == 2 { 3 } else { 2 };
                let offset = match self.input.u8() {
                    0 if wide => self.input.u64(),
                    1 => self.input.u32().into(),
                    small => small.into(),
                };
                let (align, memory) = match (memory, self.input.u8() & 1) {
                    (0, 0) => (align, None),
                    (memory, _) => (align | 0x40, Some(memory)),
                };
                let operands: Vec<u64> = [code, align]
                    .into_iter()
                    .chain(memory)
                    .chain([offset])
                    .collect();
                self.raw(function, &[0xfe], &operands);
                function.instructions().drop();
            }
        }
    }

    /// A load or a store, atomic or not, whose address is there.
    fn access(&mut self, function: &mut Function, choice: usize, wide: bool, memory: u64) {
        // Loads and stores of 32 bits: `i32.load`, `i32.store`, `i32.atomic.load`,
        // `i32.atomic.rmw.add`.
        let (prefix, stores, results): (&[u8], _, _) = match choice {
            10 => (&[0x28], false, true),
            11 => (&[0x36], true, false),
            12 => (&[0xfe, 0x10], false, true),
            _ => (&[0xfe, 0x1e], true, true),
        };
        if stores {
            self.number(function, false);
        }
        let offset = match self.input.u8() {
            0 if wide => self.input.u64(),
            1 => self.input.u32().into(),
            small => small.into(),
        };
        let operands: Vec<u64> = match (memory, self.input.u8() & 1) {
            (0, 0) => vec![2, offset],
            (memory, _) => vec![2 | 0x40, memory, offset],
        };
        self.raw(function, prefix, &operands);
        if results {
            function.instructions().drop();
        }
    }

    /// Numbers in LEB128, some with more bytes than they need.
    fn raw(&mut self, function: &mut Function, prefix: &[u8], operands: &[u64]) {
        let padding = self.input.u8();
        let mut code = prefix.to_vec();
        for (at, operand) in operands.iter().enumerate() {
            let mut rest = *operand;
            let mut length = 1;
            while rest >= 0x80 {
                code.push(rest as u8 | 0x80);
                rest >>= 7;
                length += 1;
            }
            code.push(rest as u8);
            if padding >> at & 1 != 0 && length < 5 {
                let last = code.len() - 1;
                code[last] |= 0x80;
                code.push(0);
            }
        }
        function.raw(code);
    }

    /// Pushes a number: a constant, or what the rewrite cannot know.
    fn number(&mut self, function: &mut Function, wide: bool) {
        let choice = self.input.u8();
        let value = match choice & 3 {
            0 => u64::from(choice >> 2),
            1 => self.input.u16().into(),
            2 => 1 << (choice >> 2 & 63),
            _ => self.input.u64(),
        };
        let mut to: InstructionSink<'_> = function.instructions();
        match wide {
            true => to.i64_const(value.cast_signed()),
            false => to.i32_const((value as u32).cast_signed()),
        };
        if choice & 0x80 != 0 {
            match wide {
                true => to.i64_const(0).i64_or(),
                false => to.i32_const(0).i32_or(),
            };
        }
    }
}
