use std::error::Error;

use bytes::BytesMut;
use jiff::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::column;

/// 2000-01-01, from which PostgreSQL counts, in microseconds since 1970.
const YEAR_2000: i64 = 946_684_800_000_000;

/// A timestamp for PostgreSQL, rounded down to the microsecond. The conversion of the driver rounds to the nearest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Microseconds(pub(super) Timestamp);

impl ToSql for Microseconds {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let since = column::microseconds(self.0) - YEAR_2000;
        out.extend_from_slice(&since.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Microseconds {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let since = i64::from_be_bytes(raw.try_into()?);
        let microseconds = since.checked_add(YEAR_2000).ok_or("infinity")?;
        Ok(Self(Timestamp::from_microsecond(microseconds)?))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}
