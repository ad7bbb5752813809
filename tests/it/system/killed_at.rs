/// Defines a test for each fail point and each ground, which calls the function `killed_at(ground, point)` of its module.
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
