//! The official mixture against numbers of the official code.

use burn::module::Module as _;
use burn::tensor::Tensor;
use maetok_tests::{Fixture, TestDevice, Tolerance, devices};
use nalgebra::{DMatrix, DVector};

use super::{Gmm, OfficialFit, OfficialGmm, bic};

fn start(fixture: &Fixture, on: &TestDevice) -> OfficialGmm {
    let device = on.device.clone().autodiff();
    OfficialGmm::of(
        fixture.tensor::<1>("weights0", &device),
        fixture.tensor::<2>("means0", &device),
        fixture.tensor::<2>("logcov0", &device),
    )
}

#[test]
fn parity_gmm() {
    let fixture = Fixture::open("gmm.safetensors");
    let config = &fixture.entry()["config"];
    let size = |name: &str| config[name].as_u64().unwrap_or_else(|| panic!("{name} in the manifest")) as usize;
    let (rows, width, components) = (size("n"), size("dim"), size("k"));
    for on in devices() {
        let gmm = start(&fixture, &on);
        let x = fixture.tensor::<2>("x", &on.device.clone().autodiff());
        let reached = gmm.mean_log_likelihood(x.clone()).inner();
        fixture.assert_close("loglik0", &on, &reached, Tolerance::SINGLE_MODULE);
        let reached = f64::from(reached.into_scalar::<f32>());
        let found = bic(components, width, rows, reached) as f32;
        fixture.assert_close("bic0", &on, &vec![found], Tolerance::SINGLE_MODULE);

        // The rate is told by the manifest's note alone.
        let fit = OfficialFit { epochs: size("steps"), batch: rows, rate: 0.01, seed: 0 };
        let (gmm, history) = gmm.fit(x, &fit);
        let nll: Vec<f32> = history.iter().map(|nll| *nll as f32).collect();
        fixture.assert_close("nll", &on, &nll, Tolerance::SINGLE_MODULE);
        let gmm = gmm.valid();
        fixture.assert_close("weights1", &on, gmm.weights.val(), Tolerance::SINGLE_MODULE);
        fixture.assert_close("means1", &on, gmm.means.val(), Tolerance::WHOLE_MODEL);
        fixture.assert_close("logcov1", &on, gmm.log_variances.val(), Tolerance::WHOLE_MODEL);
    }
    let seen = ["x", "weights0", "means0", "logcov0", "loglik0", "bic0", "nll", "weights1", "means1", "logcov1"];
    let unchecked: Vec<String> = fixture.names().into_iter().filter(|name| !seen.contains(&name.as_str())).collect();
    assert!(unchecked.is_empty(), "nothing was compared with {unchecked:?}");
}

/// With weights that are probabilities both mixtures are the same, but for the 1e-10.
#[test]
fn parity_gmm_of_both_forms() {
    let fixture = Fixture::open("gmm.safetensors");
    let column = |name: &str, f: fn(f64) -> f64| {
        let (shape, values) = fixture.f32(name);
        DMatrix::from_iterator(shape[1], shape[0], values.into_iter().map(|v| f(f64::from(v))))
    };
    let gmm = Gmm {
        weights: DVector::from_iterator(5, fixture.f32("weights0").1.into_iter().map(f64::from)),
        means: column("means0", |v| v),
        variances: column("logcov0", f64::exp),
    };
    let host = TestDevice { label: "host".into(), ..maetok_tests::cpu() };
    let reached = vec![gmm.mean_log_likelihood(&fixture.f32("x").1) as f32];
    fixture.assert_close("loglik0", &host, &reached, Tolerance::SINGLE_MODULE);
}

#[test]
fn the_official_fit_in_small_batches_raises_the_likelihood_too() {
    let fixture = Fixture::open("gmm.safetensors");
    let on = maetok_tests::cpu();
    let device = on.device.clone().autodiff();
    let x: Tensor<2> = fixture.tensor("x", &device);
    let gmm = OfficialGmm::new(4, x.dims()[1], 1, &device);
    let fit = OfficialFit { epochs: 20, rate: 0.01, ..OfficialFit::default() };
    let (_, history) = gmm.fit(x, &fit);
    assert!(history[19] < history[0] - 1.0, "{history:?}");
}
