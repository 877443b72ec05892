//! Every file, in every variant a host can swap in, is valid at WebGPU's defaults and is what the Rust side says.

use std::sync::LazyLock;

use maetok_shaders::{ALL, Field, Kernel};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ScalarKind, TypeInner};

/// WebGPU's default limits.
const INVOCATIONS: u32 = 256;
const WORKGROUP_BYTES: u32 = 16 << 10;
const STORAGE_BUFFERS: usize = 8;

/// A variant of a kernel, as naga understands it.
struct Valid {
    kernel: &'static Kernel,
    /// For people.
    name: String,
    module: Module,
    info: ModuleInfo,
}

/// Every variant of every kernel, read once for all tests.
static VARIANTS: LazyLock<Vec<Valid>> = LazyLock::new(|| {
    let of_kernel = |kernel: &&'static Kernel| {
        let kernel = *kernel;
        kernel.variants().into_iter().map(move |variant| valid(kernel, &variant))
    };
    ALL.iter().flat_map(of_kernel).collect()
});

fn valid(kernel: &'static Kernel, variant: &[(&str, &str)]) -> Valid {
    let text = kernel.text(variant);
    let name = format!("{}.wgsl {variant:?}", kernel.name);
    let module = naga::front::wgsl::parse_str(&text)
        .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string_with_path(&text, kernel.name)));
    // No capability: neither f16 nor subgroups.
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string_with_path(&text, kernel.name)));
    Valid { kernel, name, module, info }
}

/// Calls `check` with every variant of every kernel.
fn each(check: impl Fn(&Kernel, &Module, &ModuleInfo, &str)) {
    for Valid { kernel, name, module, info } in VARIANTS.iter() {
        check(kernel, module, info, name);
    }
}

#[test]
fn one_entry_point_of_the_stated_size_within_the_limit() {
    each(|kernel, module, _, name| {
        let [entry] = module.entry_points.as_slice() else { panic!("{name}: one entry point") };
        assert_eq!(entry.name, "main", "{name}");
        assert_eq!(entry.workgroup_size, kernel.workgroup, "{name}");
        assert!(kernel.workgroup.iter().product::<u32>() <= INVOCATIONS, "{name}");
    });
}

#[test]
fn workgroup_memory_is_within_the_limit() {
    each(|_, module, _, name| {
        let bytes = |space| {
            let of_space = module.global_variables.iter().filter(move |(_, global)| global.space == space);
            of_space.map(|(_, global)| module.types[global.ty].inner.size(module.to_ctx())).sum::<u32>()
        };
        let workgroup = bytes(AddressSpace::WorkGroup);
        assert!(workgroup <= WORKGROUP_BYTES, "{name}: {workgroup} bytes of workgroup memory");
    });
}

/// An automatic bind group layout leaves out what `main` does not use, and then the host's buffers are off by one.
#[test]
fn bindings_are_few_numbered_from_0_and_all_used() {
    each(|_, module, info, name| {
        let mut numbers = Vec::new();
        for (handle, global) in module.global_variables.iter() {
            let Some(binding) = global.binding else { continue };
            assert_eq!(binding.group, 0, "{name}");
            assert!(matches!(global.space, AddressSpace::Storage { .. }), "{name}: {:?}", global.name);
            let used = !info.get_entry_point(0)[handle].is_empty();
            assert!(used, "{name}: binding {} ({:?}) is not used", binding.binding, global.name);
            numbers.push(binding.binding);
        }
        assert!(numbers.len() <= STORAGE_BUFFERS, "{name}: {} storage buffers", numbers.len());
        assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>(), "{name}: declared in order");
    });
}

#[test]
fn params_are_laid_out_as_in_rust() {
    each(|kernel, module, _, name| {
        let (_, params) = module
            .global_variables
            .iter()
            .find(|(_, global)| global.name.as_deref() == Some("params"))
            .unwrap_or_else(|| panic!("{name}: no params"));
        let TypeInner::Struct { members, span } = &module.types[params.ty].inner else {
            panic!("{name}: params is no struct")
        };
        assert_eq!(*span as usize, 4 * kernel.params.len(), "{name}");
        assert_eq!(members.len(), kernel.params.len(), "{name}");
        for (index, (member, Field { name: field, kind })) in members.iter().zip(kernel.params).enumerate() {
            let of_wgsl = match module.types[member.ty].inner {
                TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind == ScalarKind::Uint => "u32",
                TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind == ScalarKind::Float => "f32",
                _ => "another type",
            };
            assert_eq!((member.name.as_deref(), of_wgsl), (Some(*field), *kind), "{name}");
            assert_eq!(member.offset as usize, 4 * index, "{name}: {field}");
        }
    });
}

/// A header answers, in this order.
#[test]
fn headers_are_complete() {
    for kernel in ALL {
        let file = std::fs::read_to_string(format!("{}/{}.wgsl", env!("CARGO_MANIFEST_DIR"), kernel.name)).unwrap();
        let header: Vec<&str> = file.lines().take_while(|line| line.starts_with("//!")).collect();
        let mut at = 0;
        for word in ["shapes ", "grid ", "memory ", "numbers ", "defined ", "source "] {
            let found = header.iter().position(|line| line.starts_with(&format!("//! {word}")));
            let found = found.unwrap_or_else(|| panic!("{}.wgsl: no line \"{word}\" in the header", kernel.name));
            assert!(found >= at, "{}.wgsl: \"{word}\" out of order", kernel.name);
            at = found;
        }
    }
}

/// Editors read the files as they lie there, comments and all.
#[test]
fn files_are_valid_as_they_lie_on_disk_and_say_what_is_launched() {
    for kernel in ALL {
        let text = std::fs::read_to_string(format!("{}/{}.wgsl", env!("CARGO_MANIFEST_DIR"), kernel.name)).unwrap();
        let parsed = |text: &str| naga::front::wgsl::parse_str(text).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        // Places in the text differ, and with them all that naga prints.
        let outline = |module: Module| {
            let of =
                |function: &naga::Function| (function.name.clone(), function.expressions.len(), function.body.len());
            let functions = module.functions.iter().map(|(_, function)| of(function));
            functions.chain(module.entry_points.iter().map(|entry| of(&entry.function))).collect::<Vec<_>>()
        };
        assert_eq!(outline(parsed(&text)), outline(parsed(kernel.file)), "{}.wgsl", kernel.name);
        assert!(!kernel.file.contains("//"), "{}.wgsl: a comment is left", kernel.name);
    }
}

#[test]
fn every_file_is_listed() {
    let listed: Vec<String> = ALL.iter().map(|kernel| format!("{}.wgsl", kernel.name)).collect();
    for entry in std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".wgsl") || listed.contains(&name), "{name} is not in ALL");
    }
}
