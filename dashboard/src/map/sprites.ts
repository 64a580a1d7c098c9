/** Pictures of vehicles, drawn once a theme into one texture: an arrow, a dot, a ring and the halo of the chosen one. */
import type { Palette } from "./palette.ts";

export const SPRITES = ["moving", "stopped", "offline", "halo"] as const;
export type Sprite = (typeof SPRITES)[number];

export const SPRITE_PIXELS = 96; // three device pixels to a CSS pixel at the largest size

/** Draw all sprites side by side. */
export function drawSprites(palette: Palette): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = SPRITE_PIXELS * SPRITES.length;
  canvas.height = SPRITE_PIXELS;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser draws no canvas");
  SPRITES.forEach((sprite, index) => {
    context.save();
    context.translate((index + 0.5) * SPRITE_PIXELS, SPRITE_PIXELS / 2);
    context.scale(SPRITE_PIXELS / 2, SPRITE_PIXELS / 2);
    DRAW[sprite](context, palette);
    context.restore();
  });
  return canvas;
}

type Draw = (context: CanvasRenderingContext2D, palette: Palette) => void;

const DRAW: Record<Sprite, Draw> = {
  moving(context, palette) {
    context.beginPath();
    context.moveTo(0, -0.72);
    context.lineTo(0.52, 0.56);
    context.lineTo(0, 0.3);
    context.lineTo(-0.52, 0.56);
    context.closePath();
    paint(context, palette.moving, palette.outline, 0.2);
  },
  stopped(context, palette) {
    context.beginPath();
    context.arc(0, 0, 0.38, 0, 2 * Math.PI);
    paint(context, palette.stopped, palette.outline, 0.2);
  },
  offline(context, palette) {
    context.beginPath();
    context.arc(0, 0, 0.3, 0, 2 * Math.PI);
    paint(context, palette.outline, palette.offline, 0.16);
  },
  halo(context, palette) {
    context.beginPath();
    context.arc(0, 0, 0.86, 0, 2 * Math.PI);
    context.globalAlpha = 0.22;
    context.fillStyle = palette.track;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 0.09;
    context.strokeStyle = palette.track;
    context.stroke();
  },
};

function paint(context: CanvasRenderingContext2D, fill: string, outline: string, width: number): void {
  context.lineJoin = "round";
  context.lineWidth = width;
  context.strokeStyle = outline;
  context.stroke();
  context.fillStyle = fill;
  context.fill();
}
