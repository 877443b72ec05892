//! Params structs: the same members in Rust and in WGSL, four bytes each, passed as a read-only storage buffer.

/// Name and WGSL type of a member of a params struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in both structs.
    pub name: &'static str,
    /// `"u32"` or `"f32"`.
    pub kind: &'static str,
}

/// What a params struct may hold.
pub trait Word: Copy {
    /// Its name in WGSL.
    const KIND: &'static str;
    /// Its four bytes.
    fn word(self) -> u32;
}

impl Word for u32 {
    const KIND: &'static str = "u32";
    fn word(self) -> u32 {
        self
    }
}

impl Word for f32 {
    const KIND: &'static str = "f32";
    fn word(self) -> u32 {
        self.to_bits()
    }
}

/// Declares a params struct, its list of fields for [`Kernel::params`](crate::Kernel::params), and `words`, the
/// contents of the buffer.
macro_rules! params {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$of:meta])* $field:ident: $kind:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name { $($(#[$of])* pub $field: $kind,)+ }

        impl $name {
            /// Members in order.
            pub const FIELDS: &'static [$crate::Field] = &[$($crate::Field {
                name: stringify!($field),
                kind: <$kind as $crate::params::Word>::KIND,
            }),+];

            /// The contents of the params buffer.
            pub fn words(&self) -> Vec<u32> {
                vec![$($crate::params::Word::word(self.$field)),+]
            }
        }
    };
}
pub(crate) use params;
