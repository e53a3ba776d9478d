// Which part of the picture the canvas shows: zoom 1 shows all of it. Pure.

export const MOST_ZOOM = 8;

export class Viewport {
  zoom = 1;
  left = 0; // of the part shown, 0..1
  top = 0;

  // Both in shares of the canvas, 0..1.
  toCanvas([x, y]) { return [(x - this.left) * this.zoom, (y - this.top) * this.zoom]; }
  toPicture([x, y]) { return [x / this.zoom + this.left, y / this.zoom + this.top]; }

  // Zooms by a factor so that the point of the canvas stays over the same point of the picture.
  zoomAt(factor, at = [0.5, 0.5]) {
    const before = this.toPicture(at);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    this.#show(before[0] - at[0] / this.zoom, before[1] - at[1] / this.zoom);
  }

  pan(dx, dy) { this.#show(this.left - dx / this.zoom, this.top - dy / this.zoom); }

  fit() { this.zoom = 1; this.#show(0, 0); }

  #show(left, top) {
    this.left = Math.min(Math.max(left, 0), 1 - 1 / this.zoom);
    this.top = Math.min(Math.max(top, 0), 1 - 1 / this.zoom);
  }
}
