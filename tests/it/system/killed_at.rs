/// A test for each fail point and each ground, by the function `killed_at(ground, point)` beside it.
macro_rules! killed_at {
    ($($name:ident: $point:literal),* $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_servers() -> anyhow::Result<()> {
                super::killed_at(crate::system::Ground::Servers, $point).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() -> anyhow::Result<()> {
                super::killed_at(crate::system::Ground::Embedded, $point).await
            }
        }
    )*};
}
