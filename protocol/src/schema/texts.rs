//! Schemas of the texts that have a format of their own. Each must accept what the decoder accepts, and a test compares the
//! two. The patterns use only what ECMA-262, PCRE, Python, Java, Go and .NET have in common.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::bounds::{MAX_ENTITY_NAME, MAX_LABEL, MAX_NOTE, MAX_PATH};
use crate::{
    CommitId, DeviceType, GroupName, Hostname, InterfaceAddress, InterfaceName, Mac, MessageId,
    RepositoryName, Serial, Source, TraceParent,
};

/// Characters that are not control characters: neither C0, nor DEL, nor C1.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";
/// The same, with line feeds, carriage returns and tabs.
const LINES: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";
const HOSTNAME: &str =
    r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$";
const MAC: &str = r"^[:.-]*([0-9A-Fa-f][:.-]*){12}$";
const INTERFACE_ADDRESS: &str = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$";
const COMMIT: &str = r"^([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$";
const TIME: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
const UUID: &str = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$";
/// `json`, or something that ends with `+json`, in any case and with any parameters.
pub(super) const JSON_CONTENT_TYPE: &str = r"^[^/;]+/([^;]*\+)?[Jj][Ss][Oo][Nn][ \t]*($|;)";

macro_rules! text_schemas {
    ($($name:ident: $schema:tt)*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

/// Stands for a text of one line in the schemas.
pub(crate) struct Label;
/// Stands for the name of an entity.
pub(crate) struct EntityName;
/// Stands for a text of several lines.
pub(crate) struct Note;
/// Stands for the name of a branch.
pub(crate) struct Branch;
/// Stands for a path inside a repository.
pub(crate) struct Path;
/// Stands for an RFC 3339 timestamp.
pub(crate) struct Time;
/// Stands for a UUID.
pub(crate) struct Id;
/// Stands for an IPv4 or IPv6 address.
pub(crate) struct IpAddress;

text_schemas! {
    MessageId: {
        "description": "The id of a message, unique within its source: 1 to 255 bytes of UTF-8 without control characters.",
        "type": "string", "minLength": 1, "maxLength": crate::identity::MAX_LENGTH, "pattern": LINE,
    }
    Source: {
        "description": "Where a message comes from: a URI reference, such as `urn:example:netbox`.",
        "type": "string", "minLength": 1, "maxLength": crate::identity::MAX_LENGTH, "pattern": "^[!-~]+$",
    }
    TraceParent: {
        "description": "A W3C trace context of version 00. A malformed one is dropped, and the message is accepted without it.",
        "type": "string",
    }
    Hostname: {
        "description": "A hostname: labels of 1 to 63 letters, digits and inner hyphens, between dots. One trailing dot is dropped.",
        "type": "string", "minLength": 1, "maxLength": 253, "pattern": HOSTNAME,
    }
    DeviceType: {
        "description": "The role of a device: UNKNOWN, ACCESS, DIST, CORE, FIREWALL, or a type that the site declares.",
        "type": "string", "minLength": 1, "maxLength": 32, "pattern": "^[A-Z][A-Z0-9_]*$",
    }
    Mac: {
        "description": "A MAC address in any usual notation; it is stored as 44:4c:a8:00:00:01.",
        "type": "string", "pattern": MAC,
    }
    InterfaceAddress: {
        "description": "An IPv4 or IPv6 address with the length of its prefix, such as `10.0.0.1/31`.",
        "type": "string", "pattern": INTERFACE_ADDRESS,
    }
    CommitId: {
        "description": "The full name of a commit: 40 or 64 hexadecimal digits; all zeros where there is no commit.",
        "type": "string", "pattern": COMMIT,
    }
    InterfaceName: {
        "description": "The name of an interface in the notation of the device, such as `Ethernet1`.",
        "type": "string", "minLength": 1, "maxLength": MAX_LABEL, "pattern": LINE,
    }
    GroupName: {
        "description": "The name of a group of devices.",
        "type": "string", "minLength": 1, "maxLength": MAX_LABEL, "pattern": LINE,
    }
    RepositoryName: {
        "description": "The name of a repository as configured: `settings` or `templates`.",
        "type": "string", "minLength": 1, "maxLength": MAX_LABEL, "pattern": LINE,
    }
    Serial: {
        "description": "The serial number of a device.",
        "type": "string", "minLength": 1, "maxLength": MAX_LABEL, "pattern": LINE,
    }
    Label: {
        "description": "A text of one line.",
        "type": "string", "minLength": 1, "maxLength": MAX_LABEL, "pattern": LINE,
    }
    EntityName: {
        "description": "The name of an entity: a group, a hostname, a hostname and an interface with a space between them, or a MAC address.",
        "type": "string", "minLength": 1, "maxLength": MAX_ENTITY_NAME, "pattern": LINE,
    }
    Note: {
        "description": "A text that may have several lines.",
        "type": "string", "maxLength": MAX_NOTE, "pattern": LINES,
    }
    Branch: {
        "description": "The name of a branch, such as `main`; not a ref, such as `refs/heads/main`.",
        "type": "string", "minLength": 1, "maxLength": MAX_LABEL, "pattern": LINE, "not": {"pattern": "^refs/"},
    }
    Path: {
        "description": "A path inside a repository.",
        "type": "string", "maxLength": MAX_PATH,
    }
    Time: {
        "description": "A timestamp as in RFC 3339.",
        "type": "string", "format": "date-time", "pattern": TIME,
    }
    Id: {
        "description": "A UUID.",
        "type": "string", "format": "uuid", "pattern": UUID,
    }
    IpAddress: {
        "description": "An IPv4 or IPv6 address.",
        "type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}],
    }
}
