/** The WebGL side of the vehicle layer: program, instance buffer, texture. */
import { FLOATS_PER_INSTANCE, FRAGMENT_SHADER, VERTEX_SHADER } from "./shaders.ts";

export interface Program {
  centre: WebGLUniformLocation | null;
  scale: WebGLUniformLocation | null;
  turn: WebGLUniformLocation | null;
  bearing: WebGLUniformLocation | null;
  viewport: WebGLUniformLocation | null;
  now: WebGLUniformLocation | null;
  size: WebGLUniformLocation | null;
  sprites: WebGLUniformLocation | null;
}

/** Compile and use the program. Throws with the compiler's words when the card refuses it. */
export function compile(gl: WebGL2RenderingContext): Program {
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX_SHADER],
    [gl.FRAGMENT_SHADER, FRAGMENT_SHADER],
  ] as const) {
    const shader = gl.createShader(kind);
    if (shader === null) throw new Error("WebGL made no shader");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) ?? "shader");
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? "program");
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const at = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(program, `u_${name}`);
  return {
    centre: at("centre"),
    scale: at("scale"),
    turn: at("turn"),
    bearing: at("bearing"),
    viewport: at("viewport"),
    now: at("now"),
    size: at("size"),
    sprites: at("sprites"),
  };
}

/** Bind a buffer of instances to the three attributes. */
export function instanceBuffer(gl: WebGL2RenderingContext): void {
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  const stride = FLOATS_PER_INSTANCE * Float32Array.BYTES_PER_ELEMENT;
  [4, 4, 2].forEach((size, attribute) => {
    gl.enableVertexAttribArray(attribute);
    gl.vertexAttribPointer(attribute, size, gl.FLOAT, false, stride, attribute * 16);
    gl.vertexAttribDivisor(attribute, 1);
  });
}

/** Put the sprites into the texture. */
export function spriteTexture(gl: WebGL2RenderingContext, picture: HTMLCanvasElement): void {
  if (gl.getParameter(gl.TEXTURE_BINDING_2D) === null) gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}
