// Wires NiiVue to the controls of a scan's page. Without NiiVue or WebGL 2 the still pictures stay.
"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  if (typeof niivue === "undefined" || !document.createElement("canvas").getContext("webgl2")) return;
  const data = JSON.parse(byId("data").textContent);
  const section = byId("viewer");
  section.classList.remove("hidden");
  try {
    await start();
    byId("still").open = false;
    byId("still-note").remove();
    section.dataset.ready = "true";
  } catch (error) {
    section.classList.add("hidden");
    console.warn("The viewer could not start:", error);
  }

  async function start() {
    const nv = new niivue.Niivue({
      dragAndDropEnabled: false, backColor: [0, 0, 0, 1], crosshairColor: [0.3, 0.8, 1, 0.7], crosshairWidth: 1.2, crosshairWidthUnit: "mm", crosshairGap: 6,
      multiplanarLayout: niivue.MULTIPLANAR_TYPE.ROW, multiplanarPadPixels: 6,
      show3Dcrosshair: true, isColorbar: false, multiplanarShowRender: niivue.SHOW_RENDER.NEVER, logLevel: "silent",
    });
    await nv.attachToCanvas(byId("canvas"));
    // opacity rises with the value, so that the scan stays visible where a map says nothing
    nv.addColormap("variance", {
      R: data.colours.map((c) => c[1]), G: data.colours.map((c) => c[2]), B: data.colours.map((c) => c[3]),
      A: data.colours.map((c) => c[4]), I: data.colours.map((c) => Math.round(c[0] * 255)),
    });
    nv.addVolume(await volume(data.image, "image", "gray", data.low, data.top));
    nv.setSliceType(niivue.SLICE_TYPE.MULTIPLANAR);
    nv.loadDrawing(await volume(data.label, "label", "gray", 0, 1));
    nv.setDrawColormap({ R: [0, 255], G: [0, 214], B: [0, 10], A: [0, 255], I: [0, 1], labels: ["", "grey matter"] });
    nv.drawRimOpacity = 1;
    showOutline();

    const loaded = new Map();
    async function showMap() {
      const chosen = Number(document.querySelector("input[name=map]:checked").value);
      while (nv.volumes.length > 1) nv.removeVolume(nv.volumes[1]);
      const map = data.maps[chosen];
      byId("scale-top").textContent = map ? map.top_text : "";
      byId("peak").disabled = !map;
      if (map) {
        if (!loaded.has(chosen)) loaded.set(chosen, await volume(map.data, map.name, "variance", 0, map.top));
        nv.addVolume(loaded.get(chosen));
        nv.setOpacity(1, byId("opacity").value / 100);
      }
      nv.createOnLocationChange();
    }

    function volume(base64, name, colormap, low, high) {
      return niivue.NVImage.loadFromBase64({
        base64, name: name + ".nii.gz", colormap, cal_min: low, cal_max: high, trustCalMinMax: false,
      });
    }

    function showOutline() {
      nv.setDrawOpacity(byId("outline").checked ? 0.01 : 0);
    }

    const planes = [...document.querySelectorAll(".plane")];
    function moveTo(voxel) {
      nv.scene.crosshairPos = nv.vox2frac(voxel);
      nv.drawScene();
      nv.createOnLocationChange();
    }
    nv.onLocationChange = (place) => {
      planes.forEach((slider, axis) => {
        slider.value = Math.round(place.vox[axis]);
        byId("where-" + axis).textContent = place.mm[axis].toFixed(0).replace("-", "−") + " mm";
      });
      const [image, map] = place.values;
      byId("values").textContent = "Here: image " + image.value.toPrecision(3) +
        (map ? ", variance of " + map.name.replace(".nii.gz", "") + " " + map.value.toPrecision(3) : "");
    };
    planes.forEach((slider) => slider.addEventListener("input", () => moveTo(planes.map((s) => Number(s.value)))));
    document.querySelectorAll("input[name=map]").forEach((radio) => radio.addEventListener("change", showMap));
    byId("opacity").addEventListener("input", () => {
      if (nv.volumes.length > 1) nv.setOpacity(1, byId("opacity").value / 100);
    });
    byId("outline").addEventListener("change", showOutline);
    byId("view").addEventListener("change", () => nv.setSliceType(Number(byId("view").value)));
    byId("peak").addEventListener("click", () => {
      const map = data.maps[Number(document.querySelector("input[name=map]:checked").value)];
      nv.scene.crosshairPos = nv.mm2frac(map.peak_mm);
      nv.drawScene();
      nv.createOnLocationChange();
    });
    byId("scale").style.background = "linear-gradient(90deg," + data.colours.map(
      (c) => `rgba(${c[1]},${c[2]},${c[3]},${c[4] / 255}) ${100 * c[0]}%`) + ") #000";
    await showMap();
    moveTo(data.at);
  }
})();
