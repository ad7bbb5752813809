use std::collections::BTreeMap;

use lockstep_render::{Bounds, Undefined};

use super::reader::{LateSecret, Reader};

/// `[render]`: how configurations are rendered.
#[derive(Debug)]
pub(crate) struct RenderConfig {
    /// What an undefined variable is.
    pub(crate) undefined: Undefined,
    /// The bounds of rendering the configuration of one device.
    pub(crate) bounds: Bounds,
    /// The most memory for parsed settings and templates, in bytes, by estimate.
    pub(crate) cache: usize,
    /// `[render.secrets]`: what templates use as `TEMPLATE_SECRET_NAME`, by name.
    pub(crate) secrets: BTreeMap<String, LateSecret>,
}

/// The keys of a secret.
const SECRET: [&str; 3] = ["secret", "secret_file", "secret_env"];

/// The names of what an undefined variable is.
const UNDEFINED: [(&str, Undefined); 2] = [("lenient", Undefined::Lenient), ("strict", Undefined::Strict)];

impl RenderConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let origin = reader.origin("render.undefined");
        let word = reader.text_or("render.undefined", UNDEFINED[0].0);
        let undefined = UNDEFINED.iter().find(|(name, _)| *name == word);
        if undefined.is_none() {
            let reason = format!("is {word:?}, must be \"lenient\" or \"strict\"");
            reader.problem("render.undefined", origin.as_ref(), reason);
        }
        let millions: u32 = reader.number("render.million_steps", 50, 1..=10_000);
        let output: u32 = reader.number("render.most_output_mib", 16, 1..=256);
        let values: u32 = reader.number("render.most_values_mib", 256, 1..=65_536);
        let cache: u32 = reader.number("render.cache_mib", 512, 16..=65_536);
        let bytes = |mib: u32| usize::try_from(mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        Self {
            undefined: undefined.map(|(_, undefined)| *undefined).unwrap_or_default(),
            bounds: Bounds {
                fuel: u64::from(millions) * 1_000_000,
                output: bytes(output),
                memory: bytes(values),
            },
            cache: bytes(cache),
            secrets: secrets(reader),
        }
    }
}

fn secrets(reader: &mut Reader) -> BTreeMap<String, LateSecret> {
    const SECTION: &str = "render.secrets";
    let mut secrets = BTreeMap::new();
    for name in reader.named(SECTION, &SECRET) {
        let section = format!("{SECTION}.{name}");
        let origin = reader.origin_within(&section);
        let before = reader.problems();
        let secret = reader.late_secret(&format!("{section}.secret"));
        reader.show_named(SECTION, &name, &SECRET);
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let reason = if !name.bytes().all(word) {
            "is not the name of a variable: letters, digits and `_`"
        } else if secret.is_none() && reader.problems() == before {
            "has no value; set secret_file, secret_env or secret"
        } else {
            secrets.extend(secret.map(|secret| (name, secret)));
            continue;
        };
        reader.problem(&section, origin.as_ref(), reason);
    }
    secrets
}
