"""The page that holds planted against recovered. Nothing is measured here."""

from collections.abc import Mapping, Sequence

from iblnm_core.demo.presets import RULER_SEED
from iblnm_core.demo.recovery_curves import SIMULATED_FITS
from iblnm_core.demo.statistic import Statistic

_PAGE = """\
# Truth: planted against recovered

<!-- Made by `make truth`; it says what one run found. -->

The ruler cohort (5 targets, 6 mice each, 8 sessions of 12 minutes each, seed {seed}; {n} recordings) is simulated in memory and taken
through the functions of the pipeline with the preset `default`, less the dark offset, which the synthetic camera does not have.

## Photometry

*Noise-free* is what a recording without noise would give under the pipeline's own definitions; the gains that were put in differ
from it where windows overlap. R1: three events, the stimulus masked at the first movement, baseline [-0.2, 0) s. R2: stimulus and
feedback, the stimulus masked at feedback, baseline [-0.1, 0) s. Both are the mean over [0.10, 0.35) s.

{photometry}

The isosbestic slope comes out too small because artefact and response both go with movement: a fit takes a part of the response for
artefact, least squares more of it than the primary correction.

## Psychometric curves

The [curve that is fitted](methods/task_performance.md#psychometric-function) is the one that makes the choices, so its parameters are
the truth of every session: bias, threshold and shift in percent contrast, lapses as probabilities. A block has about 60 choices.
*Error* is the mean difference to the planted value, SD that of the differences. Estimates on their bound are left out of means, error and
SD, and counted. This moves the error: a lapse that does not end at 0 is one that was overestimated. So it is held against
the error that a fit has by itself: the choices of every session are drawn anew {n_simulated} times from the planted curve, at the contrasts
that it had, and fitted; what comes out is *expected*. *Coverage* is the share of all sessions whose estimate lies within the range of its
{n_simulated} simulated ones, a sampling interval of 95 % that assumes nothing about its shape. What often ends on a bound is covered more
often, as the bound belongs to the interval.

{curves}

**The lapses of one session cannot be recovered from 60 choices**: about half of them or more end on a bound, and the others are too
large. Thresholds do better, but not well. The fit is not to blame: from expected choices it finds all parameters. Bias and shift are
recovered in the mean over sessions. Means over sessions should leave out what `at_bound` names, and know the error that remains.

## Blocks

The faults are planted in other sessions of the same mice, of 8 minutes, one each of every kind for each session.

{blocks}

## Reaction times and the wheel

{timings}

The 0.9 ms of the reaction times are those of the simulated extraction, whose first movements lie on a grid of their own; the
pipeline adds nothing. The slope is that of least squares in every session, over trials that were planted neither slow nor
premature. Peaks are those of turns that began after the stimulus. The faster a turn, the smaller they come out: velocities are means over
the 10 ms between two samples, which blunts the peak of a short turn.
"""


_MODELS = """
## Models of responses

The trials, magnitudes and regressors that came out of the sessions above go into the [modelling frame](methods/modelling.md) and from there
into the models of the cohort. *Jointly p* is the probability that estimates of all five targets together are as far from what was planted, in their
standard errors, if nothing but chance moves them (chi-square); as there are some twenty such tests, 0.001 is the limit. DR lies in
the midline. Its fibres have no side, and by default no part in models of sides; here they count as fibres on the left
(`modelling.unknown_hemisphere = "left"`), so that everything with a side in it is a planted zero.

### Contrast, side and outcome

The [task model](methods/mixed_models.md#task-model) of R2 magnitudes in the unbiased block, with ranks of the contrast; 6 mice and about 2,800 trials for each
target and event. Planted effects are those on gains, averaged over the states in which the sessions happened to be and, as in the model, at the mean
contrast. *Intervals for few mice* take quantiles of the t distribution, *plain* ones are 1.96 standard errors to either side; for effects
within mice they are nearly the same.

{effects}

Gains are not magnitudes: where the response to the stimulus is not over at feedback, it lies in the baseline of the response to feedback and is
taken away from it. This makes effects of contrast and side at feedback that nobody planted, with noise or without. **A side or contrast effect of the
magnitude at feedback is no evidence that feedback is coded so.** Effects that were not planted are tested where no neighbouring response can bring them about.

The contrast effect of DR at the stimulus is more than three standard errors off the fit to its noise-free magnitudes. In cohorts of five
other seeds (1 to 5) it is less than one off: this is chance, one of seventy effects.

### Reaction times

A response to the stimulus is planted to be 0.6 z smaller for ten times the reaction time. The slope is the mean over contrasts, weighted by precision,
of the [slopes at each contrast](methods/movement_encoding.md#timing-of-movements). R1 magnitudes, whose stimulus response ends at the first movement, are means over fewer samples
the faster the mouse was; R2 magnitudes hold a part of what follows the movement. Both change the slope also without noise, so that its size is held against
noise-free magnitudes.

{slopes}

### Artefact that is left

Artefact and response both go with movement, so that too little of the artefact is taken away (see the isosbestic slope above). What is left lowers the
signal after a movement: responses to the stimulus, most those of fast trials, and the baseline at feedback. So levels of responses and the R2 slopes
over reaction time are off a little; a straight line through the recordings (trials of all blocks) shows what is off with the right slope. The
artefact here sets in as suddenly as movements do, and the primary correction subtracts the reference below 3 Hz only, since the bands of real recordings share nothing faster: with all of the
reference, 0.03 z of the error at feedback would be left of 0.07 z.

{artefact}

### Intervals and p-values

These are measured where the truth is known exactly, in simulated trials without photometry. *Coverage*: trials of a few mice that
follow the mixed model. p-values: responses, movements and baselines that drift during a session without having to do with each other, so that [whole sessions are
exchanged](methods/permutation.md); 20 donors, which allow 21 p-values, of which only the smallest is below 0.05. They must be equally frequent. Below stand
recordings of the ruler cohort, all blocks.

{inference}

At feedback the peak velocity explains magnitudes although no gain follows it: the faster the turn, the sooner comes feedback, and the more of the earlier
responses is in its baseline. That is real in the magnitudes, no false alarm of the test.

### Response vectors

[Vectors](methods/response_vectors.md) of R2 magnitudes, all blocks. Twelve minutes hold few errors at high contrasts: features that
more than a tenth of the recordings lack are left out, and then recordings that lack any other. The [decoder](methods/decoding.md) has C = 1. Targets drawn by lot,
independently for each mouse, must be decoded at chance whatever the data are.

{vectors}

Noise makes vectors less alike, within targets and between; the order stays. SNc and NBM are confused with each other because nearly the same was planted
in both, as the noise-free vectors show.
"""


_ENCODING = """
## Task encoding

### Coefficients of single recordings

The [model of a recording](methods/task_encoding.md#model-of-a-recording) is fitted to the R2 magnitudes of every recording, unbiased block (about 60 trials).
The means over the recordings of a target are held against the same planted effects as the task model above; SE is that over recordings.

{coefficients}

### Kernels

The [encoding model](methods/encoding_model.md) with the preset's kernels, one more session of an hour of each mouse, two in LC: its responses are the smallest
against the noise, and one hour of each mouse, or the eight sessions of twelve minutes, left the r of its stimulus at 0.95 in this cohort. Kernels are means over mice, *shape* is the correlation with the planted kernel over all lags. The kernel
of reward is that of feedback in correct trials less that in wrong ones. What is planted of a predictor, in z, is its gain times the root
mean square of its values over trials. A predictor that explains nothing makes predictions of data left out a little worse, so its ΔR² is below 0.

{kernels}

LC has no predictor planted with so much. The size of the kernel of the stimulus is not that of its gain: 0.2 s lie between stimulus and first movement, and only the spread of reaction times
tells one response from the other. Smaller predictors are contrast, side and their product, reaction times, movements, and contrast at feedback. Even where a real effect
is planted, ΔR² is often 0 or less: **an hour of each mouse is not enough to say by ΔR² that an effect is not there**.

### Canonical correlation

Simulated cohorts for the [canonical correlation](methods/task_encoding.md#canonical-correlation): six coefficients and four behaviours, three sessions of each mouse. A hidden
variable has a part in two coefficients and one behaviour, or none does; 19 permutations, so that p-values are multiples of 1/20. *Mice differ*: coefficients and
behaviours of the sessions of a mouse are alike (noise of 0.3 of the spread of mice), but have nothing to do with each other.

{cca}

In cohorts of few recordings the correlation itself comes out too large, as weights are fitted to noise too. Where mice differ, only exchanging mice
keeps what it promises: **`p_session` is anti-conservative then, `p_subject` is the one to report.**
"""


_CORRECTIONS = """
## Corrections

Two bands of one fibre, an hour each, six seeds for each scenario, with everything planted: the neural signal, bleaching, motion, noise, and what is wrong with the
reference (`iblnm_core/demo/planted_fluorescence.py`). [Corrections](methods/corrections.md) get the two bands only. Values are medians over seeds. The white noise of a sample, 0.4 %, caps
the correlation. Events of a second type evoke nothing; what is found there is invented.

{corrections}

Two levels that are planted matter for what is found. In slow_mismatch the shared motion is 0.65 %; at 0.8 % it outweighs the drift, and the slope is negative in 2 of 6 seeds only.
Levels are means over ten minutes; medians over five say 0.16 % for `robust` in bleaching and inverted_ref, which would not be accepted.

`robust` is the one for what is locked to events, `dff_exp` for levels. `control_fit` takes its slope from bleaching. **Neural signal in the reference (contaminated, inverted_ref) costs
or adds a third of a response whatever the correction**; the checks say so.
"""


def page(found: Mapping[str, Sequence[Statistic]], n_recordings: int) -> str:
    """Return the page of all comparisons, markdown; without the sections on models, on encoding and on corrections where these are not among them.

    Parameters
    ----------
    found : mapping of str to sequence of Statistic
        See `recovery.statistics`, `recovery.model_statistics`, `recovery_encoding.encoding_statistics` and, as `corrections`,
        `recovery_corrections.correction_statistics`.
    n_recordings : int
    """
    tables = {name: _table(rows) for name, rows in found.items()}
    text = _PAGE + (_MODELS if "effects" in found else "") + (_ENCODING if "coefficients" in found else "")
    text += _CORRECTIONS if "corrections" in found else ""
    return text.format(seed=RULER_SEED, n=n_recordings, n_simulated=SIMULATED_FITS, **tables)


def _table(found: Sequence[Statistic]) -> str:
    head = "| Statistic | Planted | Recovered | Accepted | Holds |\n| --- | --- | --- | --- | --- |"
    rows = [f"| {s.name} | {s.planted} | {s.found} | {s.accepted} | {'yes' if s.holds else '**no**'} |" for s in found]
    return "\n".join([head, *rows])
