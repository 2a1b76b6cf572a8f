//! What the physics depends on besides the settings: one flat, named set of numbers per parameter draw.
//!
//! The list below is the only place where a parameter is named; Python builds its vectors from [`NAMES`].

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Finite and above zero.
    Positive,
    /// Finite and at least zero.
    NotNegative,
    /// Above zero and at most one.
    Share,
    /// At least zero and below one.
    Part,
}

impl Domain {
    /// Whether `value` lies in the domain; NaN never does.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Positive => value > 0.0,
                Self::NotNegative => value >= 0.0,
                Self::Share => value > 0.0 && value <= 1.0,
                Self::Part => (0.0..1.0).contains(&value),
            }
    }

    /// What is allowed, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Positive => "a finite number above zero",
            Self::NotNegative => "a finite number, zero or above",
            Self::Share => "a number above zero and at most one",
            Self::Part => "a number from zero to below one",
        }
    }
}

macro_rules! parameters {
    ($($(#[doc = $doc:expr])* $name:ident: $domain:ident),* $(,)?) => {
        /// All parameters of one draw: plain, or as numbers that carry derivatives or several draws.
        #[derive(Clone, Copy, Debug)]
        pub struct Parameters<S = f64> {
            $($(#[doc = $doc])* pub $name: S,)*
        }

        /// Names of the parameters, in the order of [`Parameters::new`].
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Domain of each parameter, same order.
        pub const DOMAINS: &[Domain] = &[$(Domain::$domain),*];

        impl<S: Copy> Parameters<S> {
            /// Asks `value` for each parameter by its index, in order.
            #[inline(always)]
            pub(crate) fn from_index(mut value: impl FnMut(usize) -> S) -> Self {
                let mut index = 0;
                Self { $($name: { index += 1; value(index - 1) },)* }
            }

            /// All values, in order.
            #[must_use]
            pub fn values(&self) -> [S; NAMES.len()] {
                [$(self.$name),*]
            }
        }
    };
}

parameters! {
    /// Power-law creep exponent of the soft metal.
    creep_exponent: Positive,
    /// Activation energy of its creep, kJ/mol.
    creep_energy_kj_mol: NotNegative,
    /// Strain rate at which its flow stress was measured, 1/s: creep rate at that stress and 25 °C.
    flow_rate_s: Positive,
    /// Stress of fully developed, hardened plastic flow, MPa (extrusion, rolling).
    flow_stress_mpa: Positive,
    /// Pressure that counts as mere touch of a layer laid on by hand, MPa.
    touch_mpa: Positive,
    /// Effective closure pressure of the waviness, MPa, 25 °C.
    wave_closure_mpa: Positive,
    /// Effective closure pressure of the roughness, native film included, MPa, 25 °C.
    rough_closure_mpa: Positive,
    /// Half-spacing of contacts on the waviness scale, mm.
    wave_spacing_mm: Positive,
    /// Half-spacing of contacts on the roughness scale, µm.
    rough_spacing_um: Positive,
    /// Share of the closure that adhesion keeps when all pressure is taken off.
    adhered_share: Share,
    /// Time at 25 °C after which bonding has fixed 63 % of what was not adhered, s.
    bond_time_s: Positive,
    /// Charge transfer (or film) resistance per real contact area, Ω cm², 25 °C.
    transfer_ohm_cm2: Positive,
    /// Its activation energy, eV.
    transfer_energy_ev: NotNegative,
    /// Interphase resistance per real contact area after 24 h at 25 °C, Ω cm².
    interphase_ohm_cm2: NotNegative,
    /// Activation energy of interphase growth, eV.
    interphase_energy_ev: NotNegative,
    /// Conductivity behind the contact (electrolyte, or soft metal of a lamination), mS/cm, 25 °C.
    conductivity_ms_cm: Positive,
    /// Its activation energy, eV.
    conductivity_energy_ev: NotNegative,
    /// Thickness of the electrolyte, mm, at `thickness_density`.
    electrolyte_mm: Positive,
    /// Relative density at which that thickness holds.
    thickness_density: Share,
    /// Relative density before the first stage (tap density for powder).
    start_density: Share,
    /// Relative density at which `conductivity_ms_cm` holds.
    conductivity_density: Share,
    /// Exponent of conductivity in relative density.
    density_exponent: NotNegative,
    /// Relative density of the loose powder, the origin of the law of compaction.
    tap_density: Share,
    /// Pressure scale of the law of compaction after release from the die (Heckel's yield pressure), MPa, 25 °C.
    compaction_mpa: Positive,
    /// Relative softening of the powder per kelvin.
    powder_softening_k: NotNegative,
    /// Growth of ln 1/(1-D) per e-fold of dwell.
    powder_creep: Positive,
    /// Thickness of the interlayer, µm (0: none).
    interlayer_um: NotNegative,
    /// Its conductivity, mS/cm, 25 °C.
    interlayer_ms_cm: Positive,
    /// Its activation energy, eV.
    interlayer_energy_ev: NotNegative,
    /// Share of its area that is pin-holes before pressing.
    pinhole_share: NotNegative,
    /// Pressure that closes 63 % of the pin-holes, MPa.
    pinhole_mpa: Positive,
    /// Closure pressure of interlayer on electrolyte, MPa.
    join_mpa: Positive,
    /// Resistance of the interlayer | electrolyte contact per real area, Ω cm².
    join_ohm_cm2: NotNegative,
    /// Pressure at which metal shorts a pellet of 82 % density and 1 mm with 63 % probability in 60 s, MPa.
    short_mpa: Positive,
    /// Exponent of the shorting hazard in pressure.
    short_exponent: Positive,
    /// Weibull scale of cracking of the brittle layer under a platen, MPa, at `conductivity_density`.
    crack_mpa: Positive,
    /// Weibull modulus.
    weibull_modulus: Positive,
    /// Growth of strength per relative density: d ln K_IC / dD.
    strength_density: NotNegative,
    /// Weibull scale of capping when a powder is over-pressed in its die, MPa.
    capping_mpa: Positive,
    /// Weibull scale of damage to an earlier-formed layer or to the interlayer, MPa.
    damage_mpa: Positive,
    /// Relative spread of pressure under a tilted platen.
    platen_tilt: NotNegative,
    /// Thickness of the soft metal, µm.
    metal_um: Positive,
    /// Radius from which it flows outwards, mm.
    flow_radius_mm: Positive,
    /// Largest share of it that can leave the gap around the electrode.
    escape_share: Share,
    /// Stripping limit without stack pressure, full contact, mA/cm².
    strip_ma_cm2: NotNegative,
    /// Gain of the stripping limit at 1 MPa stack pressure, full contact, mA/cm².
    strip_gain_ma_cm2: NotNegative,
    /// Exponent of that gain in stack pressure.
    strip_exponent: Positive,
    /// Plating limit of an undamaged cell, mA/cm².
    plate_ma_cm2: Positive,
    /// Activation energy of both limits, eV.
    current_energy_ev: NotNegative,
    /// Time to short at 10 MPa stack pressure and 82 % density, h.
    cycling_short_h: Positive,
    /// Exponent of that time in 1 / pressure.
    cycling_short_exponent: Positive,
    /// Stack pressure of the cliff in that time, MPa.
    cycling_cliff_mpa: Positive,
    /// Steepness of the cliff.
    cycling_cliff_exponent: Positive,
    /// Cycles until voids part a full contact at 5 MPa stack pressure.
    void_cycles: Positive,
    /// Cycles of a metal that reacts freely with the electrolyte over the whole area.
    reaction_cycles: Positive,
    /// Roll radius, mm.
    roll_radius_mm: Positive,
    /// Friction between roll and web.
    roll_friction: NotNegative,
    /// Effective contact modulus of the rolls (cover included), MPa.
    roll_modulus_mpa: Positive,
    /// Share of the electrolyte's resistance that sits in grain boundaries, at 25 °C.
    boundary_share: Part,
    /// Activation energy of conduction across grain boundaries, eV.
    boundary_energy_ev: NotNegative,
    /// Share of the grain-boundary conductance that is lost without stack pressure.
    boundary_release: Part,
    /// Activation volume of conduction, cm³/mol.
    activation_volume_cm3_mol: NotNegative,
    /// Pressure per `ln 1/(1-D)` that springs back when the die opens, MPa.
    spring_back_mpa: Positive,
    /// Relative permittivity of the electrolyte.
    permittivity: Positive,
    /// Capacitance of its grain boundaries, F/cm² of the cell.
    boundary_f_cm2: Positive,
    /// Capacitance of the interfacial arc per real contact area, F/cm².
    interface_f_cm2: Positive,
    /// Exponent of the depressed arcs (1: an ideal capacitor).
    arc_exponent: Share,
    /// Width of the gaps where metal and electrolyte do not touch, µm.
    gap_um: Positive,
    /// Relative permittivity of the interlayer.
    interlayer_permittivity: Positive,
    /// How far the electrolyte overhangs the electrode, mm.
    overhang_mm: NotNegative,
    /// Stress that a screw-clamped cell loses per strain of the metal, MPa.
    clamp_mpa: Positive,
    /// Metal that one half-cycle strips, µm.
    stripped_um: NotNegative,
    /// Share of that thickness by which the whole stack breathes.
    breathing_share: NotNegative,
    /// Largest relative reduction of volume of the powder (Kawakita's law; others have none).
    compaction_limit: Part,
    /// How many contacts of a collector with soft metal or another collector the current crosses (0: none).
    collector_faces: NotNegative,
    /// Contact modulus times rms slope of these, MPa.
    collector_stiffness_mpa: Positive,
    /// Hardness of the softer side of these, MPa, 25 °C.
    collector_hardness_mpa: Positive,
    /// Film on them per real contact area, Ω cm².
    collector_film_ohm_cm2: NotNegative,
    /// Half-spacing of contacts on them, µm.
    collector_spacing_um: Positive,
    /// Conductivity of the poorer metal of them, mS/cm.
    collector_ms_cm: Positive,
    /// How many contacts of a collector with electrolyte or composite the current crosses (0: none).
    back_faces: NotNegative,
    /// Contact modulus times rms slope of these, MPa.
    back_stiffness_mpa: Positive,
    /// Hardness of the softer side of these, MPa.
    back_hardness_mpa: Positive,
    /// Film on them per real contact area, Ω cm².
    back_film_ohm_cm2: NotNegative,
    /// Half-spacing of contacts on them, µm.
    back_spacing_um: Positive,
    /// Electronic conductivity of the composite there, mS/cm (0: the electrolyte's ionic one).
    back_ms_cm: NotNegative,
    /// Thickness of the composite electrode, µm, at `composite_thickness_density` (0: none).
    composite_um: NotNegative,
    /// Relative density at which that thickness holds.
    composite_thickness_density: Share,
    /// Its relative density before the first stage.
    composite_start_density: Share,
    /// Its relative density as loose powder.
    composite_tap_density: Share,
    /// Pressure scale of its law of compaction, MPa, 25 °C.
    composite_compaction_mpa: Positive,
    /// Largest relative reduction of its volume (Kawakita's law; others have none).
    composite_compaction_limit: Part,
    /// Its softening per kelvin.
    composite_softening_k: NotNegative,
    /// Its growth of ln 1/(1-D) per e-fold of dwell.
    composite_creep: Positive,
    /// Volume of electrolyte per volume of its solid.
    composite_electrolyte_share: Share,
    /// Share of electrolyte below which it no longer connects.
    composite_threshold: Part,
    /// Exponent of its conductivity above that threshold.
    composite_exponent: NotNegative,
    /// Conductivity of its electrolyte without pores, mS/cm, 25 °C.
    composite_ms_cm: Positive,
    /// Activation energy of that, eV.
    composite_energy_ev: NotNegative,
    /// Capacitance of its inner surface per area of the cell, F/cm².
    composite_f_cm2: Positive,
}

impl Parameters<f64> {
    /// Checks once, so that no formula has to.
    ///
    /// # Errors
    /// All values that are out of their domain, each named; or a wrong count.
    pub fn new(values: &[f64]) -> Result<Self, String> {
        if values.len() != NAMES.len() {
            return Err(format!(
                "parameters: {} values, {} are needed",
                values.len(),
                NAMES.len()
            ));
        }
        let wrong: Vec<String> = NAMES
            .iter()
            .zip(DOMAINS)
            .zip(values)
            .filter(|((_, domain), value)| !domain.holds(**value))
            .map(|((name, domain), value)| {
                format!("{name}: {value} is not allowed, give {}", domain.words())
            })
            .collect();
        if wrong.is_empty() {
            Ok(Self::from_index(|index| values[index]))
        } else {
            Err(wrong.join("; "))
        }
    }
}
